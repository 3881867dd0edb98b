import { afterEach, beforeEach, expect, it } from 'vitest';
import { explainRow } from '@/lib/operators/audit/explain-row';
import { days, forever, type Policy } from '@/lib/policies/contract';
import { ago, DAY, govern, NOW, things, thingsPolicy } from '@/test/support/engine';
import { aged, type Guarded, guarded } from '@/test/support/guarded';
import { keyed } from '@/test/support/keyed';
import { act, OPERATORS } from '@/test/support/operators';

let e: Guarded;
let policy: Policy;
beforeEach(async () => {
  e = await guarded({ LAPSE_OPERATORS: OPERATORS });
  policy = await govern(e.db);
  e = { ...e, services: { ...e.services, policies: [policy] } };
});
afterEach(() => e.stop());

const of = (id: string | undefined, p = policy) =>
  explainRow({ ...e.services, policies: [p] }, 'public.things', String(id));
const one = async (age: number | null) => (await things(e.db, [age]))[0];

it('names the receipt, the run and the chain’s entry of what went', async () => {
  const id = await one(40 * DAY);
  const run = await e.run(policy);
  const answer = await of(id);
  expect(answer.deletions).toMatchObject([
    {
      run: run.runId,
      seq: 1,
      policy: 'things',
      action: 'delete',
      actor: 'cron',
      reason: 'retention',
      entry: 1,
      as_dependant: false,
      detached: false,
    },
  ]);
  expect(answer.here).toMatchObject([{ present: false, status: 'absent' }]);
  expect(answer.summary).toContain(`deleted by run ${run.runId}`);
});

it('says until when a row is kept, to the microsecond', async () => {
  const id = await one(10 * DAY);
  expect((await of(id)).here).toMatchObject([
    {
      status: 'not_expired',
      rule: 'all',
      expiresAt: new Date(NOW.getTime() + 20 * DAY * 1000).toISOString().replace('Z', '000Z'),
    },
  ]);
});

it('says what goes next', async () => {
  expect((await of(await one(40 * DAY))).here).toMatchObject([{ status: 'due' }]);
});

it('names a hold, an extension, a dead letter', async () => {
  const [a, b, c] = await things(
    e.db,
    [40, 41, 42].map((d) => d * DAY),
  );
  const table = 'public.things';
  await act(e.services, 'alice', { action: 'hold.place', scope: 'item', subject: a, table, reason: 'case' });
  const keepUntil = new Date(NOW.getTime() + DAY * 1000).toISOString();
  await act(e.services, 'alice', { action: 'extension.set', table, key: b, keepUntil, reason: 'asked' });
  await e.db.sql(
    `insert into retention.dead_letter (policy, table_name, row_key, sql_state, next_attempt_at)
    values ('things', 'public.things', $1, '23503', $2::timestamptz)`,
    [c, ago(-DAY)],
  );
  expect([
    (await of(a)).here[0]?.status,
    (await of(b)).here[0]?.status,
    (await of(c)).here[0]?.status,
  ]).toEqual(['held', 'extended', 'dead_letter']);
});

it('tells of a row that is marked as deleted when it was, and that its purge comes', async () => {
  await e.db.sql('alter table things add deleted_at timestamptz');
  const soft = thingsPolicy({
    strategy: { kind: 'soft-delete', column: 'deleted_at', purgeAfter: days(30) },
  });
  const id = await one(40 * DAY);
  await e.db.sql('update things set deleted_at = $1', [ago(2 * DAY)]);
  const answer = await of(id, soft);
  expect(answer.here).toMatchObject([{ present: true, status: 'marked' }]);
  expect(answer.here[0]?.message).toBe(
    'it was marked as deleted at 2026-02-27T02:00:00.000000Z; its purge takes it when the grace period is over',
  );
});

it('names a clock that is not set, a rule that keeps forever, a condition that is not true, a reference', async () => {
  expect((await of(await one(null))).here).toMatchObject([{ status: 'no_clock' }]);
  const id = await one(4000 * DAY);
  expect((await of(id, thingsPolicy({ rules: [{ label: 'all', keepFor: forever() }] }))).here).toMatchObject([
    { status: 'for_ever' },
  ]);
  expect((await of(id, thingsPolicy({ where: "t.note = 'old'" }))).here).toMatchObject([
    { status: 'condition' },
  ]);
  await e.db.sql(
    'create table notes (id int primary key, thing uuid references things); grant select on notes to lapse_app',
  );
  await e.db.sql('insert into notes values (1, $1::uuid)', [id]);
  const blocked = thingsPolicy({
    dependants: [
      {
        table: { name: 'notes' },
        key: [{ column: 'id', type: 'int' }],
        references: ['thing'],
        fate: 'block',
      },
    ],
  });
  expect((await of(id, blocked)).here).toMatchObject([
    {
      status: 'referenced',
      message: 'a row of public.notes refers to it, or to a row that would go with it, and keeps it here',
    },
  ]);
});

it('says by whose rows it is kept: those of a table whose rows would go with it', async () => {
  const [id, parent] = await things(e.db, [4000 * DAY, 4000 * DAY]);
  await e.db.sql(`create table notes (id int primary key, thing uuid references things); grant select on notes to lapse_app;
    alter table things add parent uuid references things`);
  await e.db.sql('insert into notes values (7, $1::uuid)', [id]);
  const declared = thingsPolicy({
    dependants: [
      {
        table: { name: 'notes' },
        key: [{ column: 'id', type: 'int' }],
        references: ['thing'],
        fate: 'delete',
      },
      {
        table: { name: 'things' },
        key: [{ column: 'id', type: 'uuid' }],
        references: ['parent'],
        fate: 'delete',
      },
    ],
  });
  const said = async (sql: string) => {
    await e.db.sql(sql);
    return (await of(id, declared)).here[0]?.reasons.map((r) => r.message);
  };
  const [hold, extension, letter] = ['hold', 'extension', 'dead_letter'].map(
    (t) => `delete from retention.${t};`,
  );
  expect(
    await said(
      `insert into retention.hold (scope, subject, table_name, reason, placed_by) values ('item', '7', 'public.notes', 'r', 'alice')`,
    ),
  ).toEqual(['a legal hold keeps it, by a row of public.notes that would go or change with it']);
  expect(
    await said(
      `${hold} insert into retention.extension (table_name, row_key, keep_until, reason, extended_by) values ('public.notes', '7', '2030-01-01', 'r', 'alice')`,
    ),
  ).toEqual(['the retention of a row of public.notes that would go or change with it was extended']);
  expect(
    await said(
      `${extension} insert into retention.dead_letter (policy, table_name, row_key, sql_state, next_attempt_at) values ('other', 'public.notes', '7', '23503', '2030-01-01')`,
    ),
  ).toEqual([
    'a row of public.notes that would go or change with it could not be deleted, and is a dead letter',
  ]);
  expect(
    await said(`${letter} update things set parent = '${id}', at = now() where id = '${parent}'`),
  ).toEqual(['a row of its own table that would go with it may not go itself']);
});

it('says that deletion is paused, or was stopped by a guard rail', async () => {
  await aged(e, 40, 60, 30);
  await e.analyze();
  const id = await one(70 * DAY);
  await e.run(policy);
  expect((await of(id)).here).toMatchObject([{ status: 'guarded' }]);
  await act(e.services, 'alice', { action: 'policy.pause', policy: 'things', reason: 'look' });
  const [here] = (await of(id)).here;
  expect([here?.status, here?.reasons.map((r) => r.why)]).toEqual(['guarded', ['guarded', 'paused']]);
  expect(here?.reasons[1]?.message).toMatch(/^the policy was paused by alice on .* UTC: "look"$/);
  // Of a row that is not past its date, a pause is said last: it is not what keeps it.
  expect((await of(await one(10 * DAY))).here[0]?.reasons.map((r) => r.why)).toEqual([
    ...['not_expired', 'guarded', 'paused'],
  ]);
});

it('counts the period that counts now, not the one declared last', async () => {
  const id = await one(10 * DAY);
  await e.run(policy);
  const shorter = thingsPolicy({ rules: [{ label: 'all', keepFor: days(5) }] });
  expect((await of(id, shorter)).here).toMatchObject([
    {
      status: 'cooling',
      message: 'its shorter period of 5 days counts after the cooling-off; until then it is kept 30 days',
      reasons: [{ why: 'cooling' }, { why: 'not_expired' }],
    },
  ]);
  // Under the new period it would not go either.
  expect((await of(await one(3 * DAY), shorter)).here).toMatchObject([{ status: 'not_expired' }]);
});

it('names the tier of its organization, and one that no rule knows', async () => {
  await e.db.sql(
    `create table orgs (id uuid primary key default gen_random_uuid(), plan text); grant select on orgs to lapse_app`,
  );
  const [pro] = await e.db.sql<{ id: string }>("insert into orgs (plan) values ('pro') returning id");
  const [odd] = await e.db.sql<{ id: string }>("insert into orgs (plan) values ('odd') returning id");
  const [a, b] = await things(e.db, [40 * DAY, 40 * DAY]);
  await e.db.sql('update things set org = case when id = $1::uuid then $2::uuid else $3::uuid end', [
    a,
    pro?.id,
    odd?.id,
  ]);
  const tiers = thingsPolicy({
    rules: [{ label: 'pro', keepFor: days(90) }],
    tenants: { table: { name: 'orgs' }, key: { column: 'id', type: 'uuid' }, column: 'org', label: 'o.plan' },
  });
  expect((await of(a, tiers)).here).toMatchObject([{ status: 'not_expired', rule: 'pro' }]);
  expect((await of(b, tiers)).here).toMatchObject([{ status: 'unknown_rule' }]);
});

it('refuses a table without a policy and a key that is not one, and says so of a row that never was', async () => {
  await expect(explainRow(e.services, 'public.users', 'x')).rejects.toMatchObject({
    status: 404,
    field: 'table',
  });
  await expect(of('not-a-uuid')).rejects.toMatchObject({ status: 422, field: 'key' });
  expect((await of('00000000-0000-4000-8000-000000000000')).summary).toContain(
    'neither here nor in any receipt',
  );
});

it('finds a row and its receipt however the key is spelled, of several columns too', async () => {
  const [gone, here] = await things(e.db, [40 * DAY, 10 * DAY]);
  const pairs = await keyed(e.db, 'pairs', [
    ['n', 'int8'],
    ['moment', 'timestamptz'],
    ['x', 'numeric'],
  ]);
  await e.db.sql("insert into pairs values (7, '2026-01-01Z', 1.50)");
  await e.run(policy);
  await e.run(pairs);
  for (const spelling of [gone!.toUpperCase(), `{${gone}}`, JSON.stringify([gone!.replaceAll('-', '')])]) {
    expect((await of(spelling)).deletions).toHaveLength(1);
  }
  expect((await of(here!.toUpperCase())).here).toMatchObject([{ present: true, status: 'not_expired' }]);
  const services = { ...e.services, policies: [policy, pairs] };
  const answer = await explainRow(services, 'public.pairs', '[7,"2026-01-01T01:00:00+01:00",1.50]');
  expect(answer).toMatchObject({
    key: '["7", "2026-01-01 00:00:00+00", "1.50"]',
    deletions: [{ policy: pairs.name }],
  });
  await expect(explainRow(services, 'public.pairs', '7')).rejects.toMatchObject({
    status: 422,
    message: expect.stringContaining(
      'n (bigint), moment (timestamp with time zone), x (numeric), so write a JSON array',
    ),
  });
});

it('a key that its column cannot hold is refused, naming the field', async () => {
  await expect(of('no uuid')).rejects.toMatchObject({ field: 'key' });
});
