import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { runPolicy } from '@/lib/engine/run/run';
import { days, type Policy, type PolicyInput } from '@/lib/policies/contract';
import type { Services } from '@/lib/services';
import { watchBacklog } from '@/lib/watch/backlog/watch-backlog';
import { readMetrics } from '@/lib/watch/metrics/read';
import { renderMetrics } from '@/lib/watch/metrics/render';
import { DAY, type Engine, engine, govern, NOW, runRequest, things } from '../../support/engine';
import { BOUNDARY, EXPIRED, partitioned, visits } from '../../support/partitioned';

let e: Engine;
let now: number;
let services: Services;
let policy: Policy;
beforeEach(async () => {
  e = await engine();
  now = NOW.getTime();
});
afterEach(() => e.stop());

const governed = async (changes: Partial<PolicyInput> = {}) => {
  policy = await govern(e.db, changes);
  services = { ...e.services, policies: [policy], clock: () => new Date(now) };
};
const measure = async (dryRun = false) => {
  const deadline = new Date(now + 300_000);
  const result = await watchBacklog(services, {
    correlationId: randomUUID(),
    deadline,
    dryRun,
    trigger: 'cron',
  });
  return result.backlog[0]!;
};
const open = () =>
  e.db.sql('select cause, message from retention.incident where recovered_at is null order by cause');

it('measures how late the oldest row of each label is, how many wait and how many expire within a day', async () => {
  await governed({
    rules: [
      { label: 'short', keepFor: days(10), match: { note: 's' } },
      { label: 'long', keepFor: days(100), match: { note: 'l' } },
    ],
  });
  await things(e.db, [13 * DAY, 12 * DAY, 9.5 * DAY, 8 * DAY, 101 * DAY]);
  await e.db.sql(
    `update things set note = case when at < $1::timestamptz - interval '50 days' then 'l' else 's' end`,
    [NOW.toISOString()],
  );
  expect((await measure()).plans).toEqual([
    { plan: 'short', waiting: 2, arriving: 1, seconds: 3 * DAY },
    { plan: 'long', waiting: 1, arriving: 0, seconds: DAY },
  ]);
  const text = await renderMetrics(await readMetrics(services), []);
  expect(text).toContain(`retention_backlog_seconds{policy="things",plan="short"} ${3 * DAY}\n`);
  expect(text).toContain('retention_backlog_rows{policy="things"} 3\n');
  expect(text).toContain('retention_arrivals_per_day{policy="things"} 1\n');
  expect(text).toContain('retention_backlog_verdict{policy="things",verdict="unknown"} 1\n');
});

it.each([
  ['timestamp', 'Europe/Berlin'],
  ['date', 'UTC'],
] as const)('measures a clock of type %s in its zone', async (type, zone) => {
  await governed({ clock: { column: 'at', type, zone } });
  await e.db.sql(
    `alter table things alter column at type ${type} using (at at time zone '${zone}')::${type}`,
  );
  await e.db.sql(
    `insert into things (at) values ((($1::timestamptz - interval '33 days') at time zone '${zone}')::${type})`,
    [NOW.toISOString()],
  );
  // The column's date began two hours before NOW's time of day.
  expect((await measure()).secondsPast).toBe(3 * DAY + (type === 'date' ? 7_200 : 0));
});

it('by tenant: each under its own cutoff, an override included; what is kept forever has no backlog', async () => {
  await e.db.sql(`create table plans (id uuid primary key, plan text)`);
  await e.db.sql('grant select on plans to lapse_app');
  await governed({
    rules: [
      { label: 'free', keepFor: days(30) },
      { label: 'pro', keepFor: days(100) },
      { label: 'ever', keepFor: { seconds: null } },
    ],
    tenants: {
      table: { name: 'plans' },
      key: { column: 'id', type: 'uuid' },
      column: 'org',
      label: 'o.plan',
      judgedBy: [],
    },
  });
  await e.db.sql('create index on things (org, at, id)');
  const orgs = await e.db.sql(
    `insert into plans select gen_random_uuid(), p from unnest(array['free', 'free', 'pro', 'ever']) p returning id, plan`,
  );
  for (const { id } of orgs) {
    await e.db.sql(
      `insert into things (at, org) select $1::timestamptz - make_interval(days => d), $2 from unnest(array[40, 110]) d`,
      [NOW.toISOString(), id],
    );
  }
  await e.db.sql(
    `insert into retention.period_override (policy, tenant, keep_seconds, reason, set_by) values ('things', $1, $2, 'r', 'alice')`,
    [orgs[0]?.id, 109 * DAY],
  );
  await e.db.sql(`update retention.period_override set created_at = '2026-01-01'`);
  const { plans } = await measure();
  const by = Object.fromEntries(plans.map((m) => [m.plan, [m.waiting, m.seconds]]));
  expect(by).toEqual({ free: [2, 80 * DAY], pro: [1, 10 * DAY], override: [1, DAY] });
});

it('of a partitioned table all partitions are measured', async () => {
  policy = await partitioned(e.db);
  services = { ...e.services, policies: [policy], clock: () => new Date(now) };
  await visits(e.db, EXPIRED, 3);
  await visits(e.db, BOUNDARY, 2);
  const oldest = new Date(`${EXPIRED}-10T03:20:00Z`).getTime();
  expect((await measure()).plans).toEqual([
    { plan: 'all', waiting: 5, arriving: 0, seconds: (NOW.getTime() - oldest) / 1000 - 30 * DAY },
  ]);
});

it('a row that may not go is not late', async () => {
  await governed();
  const [old] = await things(e.db, [90 * DAY, 32 * DAY]);
  await e.db.sql(
    `insert into retention.hold (scope, table_name, subject, reason, placed_by) values ('item', 'public.things', $1, 'r', 'alice')`,
    [old],
  );
  expect((await measure()).secondsPast).toBe(2 * DAY);
});

it('behind a thousand held rows nothing is hidden, and a run that drained clears it', async () => {
  await governed();
  await e.db.sql(
    `insert into things (at, org) select $1::timestamptz - interval '60 days' - make_interval(secs => i), $2
    from generate_series(0, 999) i`,
    [NOW.toISOString(), '00000000-0000-4000-8000-00000000000a'],
  );
  await e.db.sql(
    `insert into retention.hold (scope, subject, reason, placed_by) values ('organization', '00000000-0000-4000-8000-00000000000a', 'r', 'alice')`,
  );
  await things(e.db, [50 * DAY]);
  expect((await measure()).secondsPast).toBe(30 * DAY);
  await runPolicy(services, policy, runRequest(new Date(now)));
  expect((await measure()).secondsPast).toBe(0);
});

it('a period that is still cooling off counts as before: what waits for it is no backlog', async () => {
  await governed();
  services = {
    ...services,
    settings: { ...services.settings, guards: { ...services.settings.guards, coolingOffSeconds: 7 * DAY } },
  };
  await runPolicy(services, policy, runRequest(new Date(now)));
  await things(e.db, [20 * DAY]);
  now += 60_000;
  services = { ...services, policies: [{ ...policy, rules: [{ ...policy.rules[0]!, keepFor: days(10) }] }] };
  expect(await measure()).toMatchObject({ waiting: 0, secondsPast: 0 });
});

it('a policy that will never catch up is reported with the schedule that would, and again when it has', async () => {
  await governed();
  await things(e.db, [
    ...Array.from({ length: 40 }, (_, i) => (35 + i) * DAY),
    ...Array.from({ length: 30 }, (_, i) => 29.5 * DAY + i),
  ]);
  expect((await measure()).verdict).toBe('unknown');
  expect((await open()).map((i) => i.cause)).toEqual(['backlog.late:things']);
  const one = (limit: number) => runPolicy(services, policy, runRequest(new Date(now), { limit }));
  now += 86_400_000;
  await one(10);
  await things(
    e.db,
    Array.from({ length: 30 }, (_, i) => 29.5 * DAY + i),
    new Date(now),
  );
  expect(await measure()).toMatchObject({ verdict: 'never', arrivalsPerDay: 30, drainedPerDay: 10 });
  const [never, ...others] = await open();
  expect(others).toEqual([]);
  expect(never?.cause).toBe('backlog.never:things');
  expect(never?.message).toContain(
    '30 rows expire a day and 10 are deleted; the schedule "0 */4 * * *" would',
  );
  now += 3_600_000;
  await runPolicy(services, policy, runRequest(new Date(now)));
  expect((await measure()).verdict).toBe('clear');
  expect(await open()).toEqual([]);
});

it('counts the runs in a row that leave more than the one before, whatever comes due between them', async () => {
  await governed();
  await e.db.sql(`insert into retention.policy_state (policy) values ('things') on conflict do nothing`);
  const ran = (at: number) =>
    e.db.sql(
      `insert into retention.run (id, policy, mode, trigger, actor, correlation_id, fence, policy_version, as_of, started_at, finished_at, outcome, reason, duration_seconds)
        values (gen_random_uuid(), 'things', 'delete', 'cron', 'cron', 'c', 1, 'v', $1, $1, $1, 'interrupted', 'time', 1)`,
      [new Date(at).toISOString()],
    );
  const growing = async () =>
    (await e.db.sql<{ growing: number }>('select growing from retention.forecast'))[0]!.growing;
  const seen: number[] = [];
  // Rows that come due; whether a run lay in between.
  for (const [due, isRun] of [
    [5, true],
    [1, true],
    [1, false],
    [1, true],
    [2, true],
    [0, true],
    [3, true],
  ] as const) {
    if (due > 0)
      await things(
        e.db,
        Array.from({ length: due }, () => 40 * DAY),
      );
    if (isRun) await ran(now);
    now += 3_600_000;
    await measure();
    seen.push(await growing());
    now += DAY * 1000;
  }
  expect(seen).toEqual([0, 1, 1, 2, 3, 0, 1]);
});

it('a policy whose table is not there is named, and the others are measured', async () => {
  await governed();
  const gone = { ...policy, name: 'gone', table: { schema: 'public', name: 'gone' } };
  services = { ...services, policies: [gone, policy] };
  const deadline = new Date(now + 300_000);
  const result = await watchBacklog(services, {
    correlationId: 'c',
    deadline,
    dryRun: false,
    trigger: 'cron',
  });
  expect(result).toMatchObject({ outcome: 'errored', reason: 'unmeasured', unmeasured: ['gone'] });
  expect(result.backlog.map((b) => b.policy)).toEqual(['things']);
});

it('a dry run measures and writes nothing', async () => {
  await governed();
  await things(e.db, [40 * DAY]);
  expect((await measure(true)).waiting).toBe(1);
  expect(
    await e.db.sql('select 1 from retention.backlog union all select 1 from retention.backlog_day'),
  ).toEqual([]);
});

it('out of time says how many were measured, and that the next run continues', async () => {
  await governed();
  const late = await watchBacklog(services, {
    correlationId: randomUUID(),
    deadline: new Date(now),
    dryRun: false,
    trigger: 'cron',
  });
  expect(late).toMatchObject({ outcome: 'interrupted', reason: 'time', backlog: [] });
});
