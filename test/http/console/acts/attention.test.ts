import { afterEach, beforeEach, expect, it } from 'vitest';
import { closeBreaker, feedBreaker } from '@/lib/engine/guard/breaker';
import { attention, urgency } from '@/lib/http/console/attention';
import { policiesNow } from '@/lib/http/console/policies';
import type { Policy } from '@/lib/policies/contract';
import { eraseSubject } from '@/lib/rights/erase';
import type { Services } from '@/lib/services';
import { CONSOLE_ENV } from '@/test/support/console';
import { withoutRedis } from '@/test/support/deciding';
import { govern, NOW } from '@/test/support/engine';
import { aged, type Guarded, guarded, later } from '@/test/support/guarded';
import { type OrderWorld, orderWorld } from '@/test/support/orders';

let e: Guarded;
let s: Services;
let policy: Policy;
beforeEach(async () => {
  e = await guarded({ ...CONSOLE_ENV });
  policy = await govern(e.db, { rollout: false });
  s = { ...e.services, policies: [policy], orderReview: undefined };
});
afterEach(async () => {
  await closeBreaker(s.redis, 'things').catch(() => undefined);
  await e.stop();
});

const kinds = async (of = s) => (await attention(of)).waiting.map((w) => `${w.kind} ${w.id}`);

it('says that nothing waits while nothing does', async () => {
  expect(await attention(s)).toEqual({ waiting: [], unread: [] });
});

it('a guard stop waits from the first of its nights on, until it is approved or runs again', async () => {
  await aged(e, 1, 100, 30);
  await e.analyze();
  expect(await e.at(NOW, policy)).toMatchObject({ reason: 'guarded' });
  expect(await e.at(later(1), policy)).toMatchObject({ reason: 'guarded' });
  s = { ...s, clock: () => later(1.5) };
  const { waiting } = await attention(s);
  expect(waiting).toMatchObject([
    { kind: 'guard', id: 'things', since: NOW, needs: 'approve', path: '/policies/things/approve' },
  ]);
  expect(urgency(waiting[0]!, later(1.5))).toBe(1.5);
  const { preview, runId } = await e.at(later(1.6), policy, { dryRun: true });
  expect(await kinds()).toEqual(['guard things']);
  await e.approve({ preview, runId } as never, later(1.7));
  expect(await kinds()).toEqual([]);
  expect(await e.at(later(1.8), policy)).toMatchObject({ outcome: 'succeeded' });
  expect(await kinds()).toEqual([]);
});

it('an erasure under the policy’s name does not hide a guard stop', async () => {
  await aged(e, 1, 100, 30);
  await e.db.sql('update things set person = gen_random_uuid()');
  await e.analyze();
  expect(await e.at(NOW, policy)).toMatchObject({ reason: 'guarded' });
  const [row] = await e.db.sql<{ person: string }>('select person::text from things limit 1');
  const asked = { reason: 'request 3', dryRun: false, actor: 'otto', correlationId: 'x' };
  const deadline = new Date(NOW.getTime() + 240_000);
  const services = { ...s, dataMap: [] };
  await eraseSubject(services, { ...asked, deadline, subject: { scope: 'user', id: row!.person } });
  expect(
    await e.db.sql("select 1 from retention.run where trigger = 'manual' and mode = 'delete'"),
  ).toHaveLength(1);
  expect(await kinds()).toContain('guard things');
  expect((await policiesNow(s, [policy])).policies[0]!.state.word).toBe('Guarded');
});

it('a run by hand that finds nothing ends a guard stop, an erasure that finds nothing does not', async () => {
  await aged(e, 1, 100, 30);
  await e.analyze();
  expect(await e.at(NOW, policy)).toMatchObject({ reason: 'guarded' });
  const asked = { reason: 'request 3', dryRun: false, actor: 'otto', correlationId: 'x' };
  const deadline = new Date(NOW.getTime() + 240_000);
  const subject = { scope: 'user', id: '00000000-0000-4000-8000-0000000000ff' } as const;
  // A hold keeps the only row that there is of this person.
  await e.db.sql('update things set person = $1 where id = (select id from things limit 1)', [subject.id]);
  await e.db.sql(
    `select retention.place_hold('alice', 'court', 'item', id::text, 'public.things') from things where person is not null`,
  );
  await eraseSubject({ ...s, dataMap: [] }, { ...asked, deadline, subject });
  expect(
    await e.db.sql(
      `select purpose, deleted::int as deleted from retention.run where mode = 'delete' order by started_at, id`,
    ),
  ).toEqual(expect.arrayContaining([{ purpose: 'erasure', deleted: 0 }]));
  expect(await kinds()).toContain('guard things');
  await e.db.sql('update things set at = $1', [NOW]);
  expect(await e.at(later(1), policy, { trigger: 'manual', actor: 'otto' })).toMatchObject({ deleted: 0 });
  expect(await kinds()).not.toContain('guard things');
});

it('lists what waits for a second person, dead letters, breakers and overdue holds, the most urgent first', async () => {
  const at = (days: number) => later(days).toISOString();
  await e.db.sql(
    `insert into retention.hold (scope, subject, reason, placed_by, placed_at, review_at) values
      ('user', 'u', 'HOLD-7', 'ann', $1, $2), ('user', 'v', 'HOLD-8', 'ann', $1, $3), ('user', 'w', 'HOLD-9', 'ann', $1, null)`,
    [at(-100), at(-1), at(1)],
  );
  await e.db.sql(
    `insert into retention.dead_letter (policy, table_name, row_key, sql_state, next_attempt_at, created_at)
     select 'things', 'public.things', i::text, '23503', $1, $1::timestamptz + make_interval(secs => i) from generate_series(0, 4) i`,
    [at(-6)],
  );
  await e.db.sql(
    `insert into retention.erasure (scope, subject, reason, requested_by, requested_at, due_at, rows_found, identifiers, state) values
      ('organization', 'o', 'r', 'otto', $1, $2, 12, '{}', 'requested'), ('user', 'late', 'r', 'otto', $3, $4, 1, '{}', 'open'),
      ('user', 'fresh', 'r', 'otto', $1, $2, 1, '{}', 'open')`,
    [at(-3), at(27), at(-27), at(3)],
  );
  await e.db.sql(
    `insert into retention.restore (scope, subject, reason, state, rows_found, keep_until, requested_by, requested_at)
     values ('organization', 'o', 'r', 'requested', 700, $1, 'otto', $2)`,
    [at(30), at(-0.5)],
  );
  const closed = { open: false, secondsLeft: 0, failures: 0 };
  for (let i = 0; i < 3; i += 1)
    await feedBreaker(s.redis, 'things', closed, { outcome: 'errored', reason: 'lost' });
  const { waiting, unread } = await attention(s);
  expect(unread).toEqual([]);
  expect(waiting.map((w) => w.kind)).toEqual(['letter', 'hold', 'erasure', 'restore', 'erasure', 'breaker']);
  const shares = waiting.map((w) => urgency(w, NOW));
  expect(shares).toEqual([...shares].sort((a, b) => b - a));
  expect(waiting.find((w) => w.kind === 'letter')).toMatchObject({
    what: '5 rows of things could not go.',
    needs: 'operate',
  });
  expect(waiting.filter((w) => w.kind === 'erasure').map((w) => [w.needs, w.not, w.act])).toEqual([
    ['operate', null, 'Open'],
    ['approve', 'otto', 'Confirm'],
  ]);
  expect(waiting.find((w) => w.kind === 'hold')).toMatchObject({
    what: 'Hold "HOLD-7" is past its day of review.',
  });
});

it('while Redis is away the rest is read, and it says what is not', async () => {
  await aged(e, 1, 100, 30);
  await e.analyze();
  await e.run(policy);
  const { waiting, unread } = await attention(withoutRedis(s));
  expect(waiting.map((w) => w.kind)).toEqual(['guard']);
  expect(unread).toEqual([expect.stringContaining('breakers')]);
});

it('reads no table from end to end, however long the history is', async () => {
  await e.run(policy);
  await e.db.sql(
    `insert into retention.run (id, policy, mode, trigger, actor, correlation_id, fence, policy_version, as_of, started_at, finished_at, outcome)
     select gen_random_uuid(), 'things', 'delete', 'cron', 'cron', gen_random_uuid()::text, 1, 'v', $1::timestamptz, $1::timestamptz - make_interval(mins => i), $1::timestamptz, 'succeeded'
     from generate_series(1, 6000) i`,
    [NOW.toISOString()],
  );
  await e.db.sql('analyze retention.run');
  const [before] = await e.db.sql<{ n: string }>(
    `select coalesce(seq_tup_read, 0) as n from pg_stat_user_tables where schemaname = 'retention' and relname = 'run'`,
  );
  await attention(s);
  await e.db.sql('select pg_stat_force_next_flush()').catch(() => undefined);
  const [after] = await e.db.sql<{ n: string }>(
    `select coalesce(seq_tup_read, 0) as n from pg_stat_user_tables where schemaname = 'retention' and relname = 'run'`,
  );
  expect(Number(after!.n) - Number(before!.n)).toBeLessThan(6_000);
});

it('orders near their breach, refunds for a second person, and reviews without a start are in the list', async () => {
  const w: OrderWorld = await orderWorld(CONSOLE_ENV);
  try {
    const near = await w.order(23);
    await w.order(1);
    const lost = await w.order(null);
    const refused = await w.order(25, { refuse: 'charge_disputed' });
    await w.watch();
    const { waiting } = await attention({ ...w.services, policies: [] });
    expect(waiting.map((x) => [x.kind, x.id]).sort()).toEqual(
      [
        ['order', near],
        ['order', lost],
        ['refund', refused],
      ].sort(),
    );
    expect(waiting.find((x) => x.id === near)).toMatchObject({ what: expect.stringContaining('42.00 EUR') });
  } finally {
    await w.stop();
  }
});
