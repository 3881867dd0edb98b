/** The month that the law gives for a request to erase. */
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { erasureRoute } from '@/lib/http/erasure-route';
import { watchClock } from '@/lib/rights/clock';
import { erasuresJob } from '@/lib/rights/job';
import type { Services } from '@/lib/services';
import { DAY, type Engine, engine, govern, NOW, things } from '../support/engine';
import { OPERATORS, TOKENS } from '../support/operators';

let e: Engine;
beforeEach(async () => {
  e = await engine({
    env: {
      LAPSE_OPERATORS: OPERATORS,
      ALERT_WEBHOOK_URL: 'http://127.0.0.1:9/hook',
      ALERT_WEBHOOK_SECRET: 'a-webhook-secret-of-the-tests',
    },
  });
});
afterEach(() => e.stop());

/** A request of `NOW`, thirty days before its last. */
const requested = async (state = 'open', from = NOW): Promise<string> => {
  const [row] = await e.db.sql<{ id: string }>(
    `insert into retention.erasure (scope, subject, reason, requested_by, requested_at, due_at, state)
      values ('user', $1, 'request 12', 'ann', $2::timestamptz, retention.erasure_due($2::timestamptz), $3) returning id::text`,
    [randomUUID(), from.toISOString(), state],
  );
  return row!.id;
};
const after = (days: number): Services => ({
  ...e.services,
  clock: () => new Date(NOW.getTime() + days * DAY * 1000),
});
const alerts = () =>
  e.db.sql(
    'select i.cause, i.severity, a.moment, i.message from retention.alert a join retention.incident i on i.id = a.incident order by a.created_at, a.moment desc',
  );
const read = async (services: Services, query: string) => {
  const answer = await erasureRoute(() => services).GET(
    new Request(`https://lapse.test/api/erasure${query}`, {
      headers: { authorization: `Bearer ${TOKENS.alice}` },
    }),
  );
  return {
    status: answer.status,
    body: (await answer.json()) as { entries: { id: string; days_left: number; late: boolean }[] },
  };
};

it.each([
  ['2026-03-01T10:00:00Z', '2026-03-31T10:00:00Z'],
  ['2026-01-31T23:30:00Z', '2026-02-28T23:30:00Z'],
  ['2026-02-10T10:00:00Z', '2026-03-10T10:00:00Z'],
  ['2026-04-30T10:00:00Z', '2026-05-30T10:00:00Z'],
])('a request of %s is due at %s: thirty days, or a month where that is shorter', async (asked, due) => {
  const [row] = await e.db.sql(`select retention.erasure_due($1::timestamptz) = $2::timestamptz as same`, [
    asked,
    due,
  ]);
  expect(row?.same).toBe(true);
});

it('every request has its last day from the moment it is asked for', async () => {
  await e.db.sql("select retention.request_erasure('user', 'u', 'request 12', 'ann', 1)");
  const [row] = await e.db.sql(
    'select due_at = retention.erasure_due(requested_at) as same from retention.erasure',
  );
  expect(row?.same).toBe(true);
});

it('is told of at 80 and at 100 percent, each once, and again when it is over', async () => {
  const id = await requested();
  await watchClock(after(23.9));
  expect(await alerts()).toEqual([]);
  for (const days of [24.1, 24.2, 29.9]) await watchClock(after(days));
  expect(await alerts()).toMatchObject([
    { cause: `erasure.due:${id}`, severity: 'warning', moment: 'warning' },
  ]);
  for (const days of [30.1, 31, 45]) await watchClock(after(days));
  expect((await alerts()).map((a) => [a.severity, a.moment])).toEqual([
    ['critical', 'warning'],
    ['critical', 'critical'],
  ]);
  await e.db.sql("update retention.erasure set state = 'done', finished_at = now()");
  await watchClock(after(46));
  expect((await alerts()).map((a) => a.moment)).toEqual(['warning', 'critical', 'recovered']);
});

it('a request that nobody looked at in time is told of as late, at once and once', async () => {
  await requested();
  for (const days of [40, 41]) await watchClock(after(days));
  expect((await alerts()).map((a) => a.moment)).toEqual(['critical']);
});

it('when the watch dies before it noted that it told, the next one tells nobody twice', async () => {
  await requested();
  const { database } = e.services;
  const dying = {
    ...after(25),
    database: {
      transaction: (...a: Parameters<typeof database.transaction>) =>
        a[0].some((s) => s.text.includes('note_erasure_clock'))
          ? Promise.reject(new Error('died'))
          : database.transaction(...a),
    },
  };
  await expect(watchClock(dying)).rejects.toThrow('died');
  await watchClock(after(25.1));
  expect(await alerts()).toHaveLength(1);
  expect(await e.db.sql('select warned_at is not null as noted from retention.erasure')).toEqual([
    { noted: true },
  ]);
});

it('a request that waits for a second operator is told of too, and what to do', async () => {
  await requested('requested');
  await watchClock(after(25));
  expect((await alerts())[0]?.message).toContain('waits for a second operator');
});

it('says how many rows a hold keeps', async () => {
  const id = await requested();
  await e.db.sql(
    `insert into retention.erasure_step (erasure, policy, outcome, kept) values ($1, 'things', 'succeeded', '{"held": 3}')`,
    [id],
  );
  await watchClock(after(25));
  expect((await alerts())[0]?.message).toContain('3 rows are held');
});

it('what is settled is told of no more', async () => {
  await requested();
  await e.db.sql(
    "update retention.erasure set state = 'withdrawn', withdrawn_by = 'ann', withdrawn_at = now()",
  );
  expect(await watchClock(after(40))).toBe(0);
});

it('is told of where only dry runs are allowed, but not outside production or by a dry run that was asked for', async () => {
  await requested();
  const job = (services: Services, dryRun: boolean) =>
    erasuresJob(services, {
      correlationId: 'c',
      deadline: new Date(NOW.getTime() + 60 * DAY * 1000),
      dryRun,
      trigger: 'cron',
    });
  const of = (more: object): Services => ({ ...after(25), settings: { ...e.services.settings, ...more } });
  await job(of({ production: false, dryRun: true }), true);
  await job(of({}), true);
  expect(await alerts()).toEqual([]);
  await job(of({ dryRun: true }), true);
  expect(await alerts()).toHaveLength(1);
});

it('operators see the days that are left, and of one request all that happened', async () => {
  const [late, soon] = [
    await requested('open', new Date(NOW.getTime() - 31 * DAY * 1000)),
    await requested(),
  ];
  await e.db.sql("select retention.confirm_erasure($1, 'checked', 'bob')", [
    await requested('requested', new Date(NOW.getTime() + 1000)),
  ]);
  const { body } = await read(after(10.5), '');
  expect(body.entries.map((x) => [x.id, x.days_left, x.late])).toEqual([
    [late, -12, true],
    [soon, 19, false],
    [expect.any(String), 19, false],
  ]);
  const confirmed = body.entries[2]!.id;
  expect(await read(after(10.5), `?id=${confirmed}`)).toMatchObject({
    status: 200,
    body: {
      state: 'confirmed',
      due_at: '2026-03-31T02:00:01.000Z',
      history: [{ by: 'bob', action: 'erasure.confirmed', reason: 'checked' }],
    },
  });
  expect((await read(e.services, `?id=${randomUUID()}`)).status).toBe(404);
  await e.db.sql(
    "update retention.erasure set state = 'done', finished_at = due_at + interval '1 hour' where id = $1",
    [soon],
  );
  expect((await read(e.services, '?state=done')).body.entries).toMatchObject([
    { days_left: null, late: true },
  ]);
});

it('a hundred requests that are held do not keep the hundred and first back, by any call', async () => {
  const policy = await govern(e.db);
  const services = { ...e.services, policies: [policy], dataMap: [] };
  await e.db.sql('create index on things (person)');
  await things(
    e.db,
    Array.from({ length: 101 }, () => DAY),
  );
  await e.db.sql('update things set person = gen_random_uuid()');
  await e.db.sql(
    `with last as (select person from things order by person desc limit 1)
      insert into retention.erasure (scope, subject, reason, requested_by, requested_at, state)
      select 'user', person::text, 'r', 'ann', now() - case when person in (select person from last) then interval '0' else interval '9 days' end, 'open' from things`,
  );
  await e.db.sql(
    `insert into retention.hold (scope, subject, table_name, reason, placed_by)
      select 'user', subject, null, 'matter', 'bob' from retention.erasure where requested_at < now() - interval '1 day'`,
  );
  // Each call has time for a few of them only.
  let calls = 0;
  while ((await e.db.sql("select 1 from retention.erasure where state = 'done'")).length === 0) {
    calls += 1;
    expect(calls).toBeLessThan(30);
    let asked = 0;
    const clock = () => new Date(NOW.getTime() + 100 * asked++);
    await erasuresJob(
      { ...services, clock },
      {
        correlationId: 'c',
        deadline: new Date(NOW.getTime() + 12_000),
        dryRun: false,
        trigger: 'cron',
      },
    );
  }
  expect((await e.db.sql('select count(*)::int as n from things'))[0]?.n).toBe(100);
  expect(calls).toBeGreaterThan(1);
}, 120_000);

it('with nothing to resume the job looks again when the time of one that waits for a person is nearly over, and when it is', async () => {
  const nextLook = async (days: number) => {
    const services = after(days);
    const deadline = new Date(services.clock().getTime() + 240_000);
    const request = { correlationId: randomUUID(), deadline, dryRun: false, trigger: 'cron' as const };
    return (await erasuresJob(services, request)).nextLook;
  };
  const inDays = (days: number) => new Date(NOW.getTime() + days * DAY * 1000);
  expect(await nextLook(0)).toBeNull();
  await requested('requested');
  expect(await nextLook(0)).toEqual(inDays(24));
  expect(await nextLook(23)).toEqual(inDays(24));
  // Told in this look.
  expect(await nextLook(25)).toEqual(inDays(30));
  expect(await nextLook(31)).toBeNull();
  // One that can be tried is tried by each call.
  await requested('confirmed');
  expect(await nextLook(0)).toBeUndefined();
});

it('what a finished request retained on a ground is told of when that ends, once, until it is asked for again', async () => {
  const [done] = await e.db.sql<{ id: string }>(
    `insert into retention.erasure (scope, subject, reason, requested_by, requested_at, due_at, state, finished_at, retained_until)
      values ('user', 'u', 'request 12', 'ann', $1::timestamptz, $1, 'done', $1, $1::timestamptz + interval '400 days') returning id::text`,
    [NOW.toISOString()],
  );
  const run = async (days: number) => {
    const services = after(days);
    const deadline = new Date(services.clock().getTime() + 240_000);
    return erasuresJob(services, { correlationId: randomUUID(), deadline, dryRun: false, trigger: 'cron' });
  };
  expect((await run(399)).nextLook).toEqual(after(400).clock());
  expect(await alerts()).toEqual([]);
  for (const days of [400, 401]) expect((await run(days)).nextLook).toBeNull();
  expect(await alerts()).toMatchObject([
    { cause: `erasure.retained:${done!.id}`, severity: 'warning', moment: 'warning' },
  ]);
  await e.db.sql(
    `insert into retention.erasure (scope, subject, reason, requested_by, requested_at, due_at, state, finished_at)
      select scope, subject, reason, requested_by, requested_at, due_at, 'done', finished_at + interval '402 days' from retention.erasure`,
  );
  await run(403);
  expect((await alerts()).map((a) => a.moment)).toEqual(['warning', 'recovered']);
});
