import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { cronRoute } from '@/lib/http/cron-route';
import { jobRoute } from '@/lib/http/job-route';
import { connect } from '@/lib/platform/database';
import type { Services } from '@/lib/services';
import { noteEnd } from '@/lib/watch/attendance';
import { allExpected, expectedOf } from '@/lib/watch/expected';
import { lookForLateRuns } from '@/lib/watch/look';
import { watchRuns } from '@/lib/watch/run-watch';
import { DAY, type Engine, engine, govern, NOW, things } from '../support/engine';

const SECRET = 'a-secret-of-the-tests';
let e: Engine;
let now: number;
let services: Services;

beforeEach(async () => {
  vi.stubEnv('CRON_SECRET', SECRET);
  e = await engine();
  const policy = await govern(e.db);
  now = NOW.getTime() - 3_600_000;
  services = { ...e.services, policies: [policy], clock: () => new Date(now) };
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await e.stop();
});

const pass = (seconds: number) => {
  now += seconds * 1_000;
};
const at = (iso: string) => {
  now = new Date(iso).getTime();
};
const call = (name: string, query = '') =>
  new Request(`http://localhost/api/cron/${name}${query}`, {
    headers: { authorization: `Bearer ${SECRET}` },
  });
const runThings = (query = '') => cronRoute('things', () => services).GET(call('things', query));
const runJob = (name: string, outcome: 'succeeded' | 'errored' = 'succeeded') =>
  jobRoute(
    name,
    async () => ({ outcome, reason: outcome === 'errored' ? 'x' : null, message: 'm' }),
    () => services,
  ).GET(call(name));
const incidents = () =>
  e.db.sql(
    'select cause, severity, times, recovered_at is null as open from retention.incident order by opened_at, cause',
  );
const ofThings = async () => (await incidents()).filter((i) => String(i.cause).endsWith(':things'));
/** As if everything else had come, so that only what the test is about is late. */
const othersCame = () =>
  e.db.sql(
    `update retention.watched set worked_at = $1, started_at = $1, finished_at = $1 where name <> 'things'`,
    [new Date(now).toISOString()],
  );

it('a skipped schedule is reported by any other cron, once, and its recovery once', async () => {
  await lookForLateRuns(services);
  at('2026-03-01T04:00:30Z');
  await othersCame();
  await runJob('erasures');
  expect(await ofThings()).toEqual([
    { cause: 'run.late:things', severity: 'critical', times: 1, open: true },
  ]);
  pass(120);
  await othersCame();
  await runJob('blob-outbox');
  expect(await ofThings()).toEqual([
    { cause: 'run.late:things', severity: 'critical', times: 2, open: true },
  ]);
  pass(120);
  await runThings();
  expect((await ofThings()).map((i) => i.open)).toEqual([false]);
  const [row] = await e.db.sql(
    `select status, outcome, sla_status from retention.watched where name = 'things'`,
  );
  expect(row).toEqual({ status: 'on_time', outcome: 'succeeded', sla_status: 'within_sla' });
});

it('a missing job of its own is noticed by a policy, the watch itself included', async () => {
  await lookForLateRuns(services);
  at('2026-03-01T06:59:00Z');
  await runThings();
  const late = (await incidents()).map((i) => i.cause);
  for (const name of ['audit-seal', 'blob-outbox', 'run-watch', 'order-review-sla']) {
    const was = late.includes(`run.late:${name}`);
    expect(was, name).toBe(name !== 'audit-seal');
  }
  at('2026-03-01T08:00:00Z');
  await runThings();
  expect((await incidents()).map((i) => i.cause)).toContain('run.late:audit-seal');
});

it('a run stands for the schedule it began after, not for one that came while it worked', async () => {
  const of = (iso: string, end: string) => ({
    ...{ outcome: 'succeeded' as const, reason: null, durationSeconds: 1, slaStatus: 'within_sla' as const },
    ...{ startedAt: new Date(iso), finishedAt: new Date(end) },
  });
  const things = expectedOf(services.policies[0]!);
  await noteEnd(services, things, of('2026-03-01T01:50:00Z', '2026-03-01T02:05:00Z'));
  const row = async () =>
    (await e.db.sql(`select worked_at, finished_at from retention.watched where name = 'things'`))[0];
  expect(await row()).toMatchObject({ worked_at: new Date('2026-03-01T01:50:00Z') });
  // The note of an older run that comes late changes nothing.
  await noteEnd(services, things, of('2026-03-01T01:55:00Z', '2026-03-01T02:04:00Z'));
  expect(await row()).toEqual({
    worked_at: new Date('2026-03-01T01:50:00Z'),
    finished_at: new Date('2026-03-01T02:05:00Z'),
  });
});

it('a job that fails every time is late although it comes', async () => {
  await lookForLateRuns(services);
  at('2026-03-01T02:10:05Z');
  await othersCame();
  await e.db.sql(`update retention.watched set worked_at = null where name = 'blob-outbox'`);
  await runJob('blob-outbox', 'errored');
  at('2026-03-01T02:18:00Z');
  await lookForLateRuns(services);
  const [row] = await e.db.sql(`select message from retention.incident where cause = 'run.late:blob-outbox'`);
  expect(row?.message).toMatch(/errored \(x\)/);
});

it('a paused policy is withheld and not missing', async () => {
  await runThings();
  await e.db.sql(
    `update retention.policy_state set paused = true, paused_by = 'alice', paused_reason = 'r', paused_at = now() where policy = 'things'`,
  );
  at('2026-03-02T05:00:00Z');
  await runThings();
  expect(await ofThings()).toMatchObject([{ cause: 'run.withheld:things', severity: 'warning' }]);
});

it('a dry run that was asked for does not count as the run that is due', async () => {
  await lookForLateRuns(services);
  at('2026-03-01T02:30:00Z');
  await runThings('?dryRun=1');
  at('2026-03-01T04:01:00Z');
  await lookForLateRuns(services);
  expect(await ofThings()).toMatchObject([{ cause: 'run.late:things', open: true }]);
});

it('twenty crons that end together look once', async () => {
  await lookForLateRuns(services);
  at('2026-03-01T05:00:00Z');
  const looks = await Promise.all(Array.from({ length: 20 }, () => lookForLateRuns(services)));
  expect(looks.filter((l) => l.looked)).toHaveLength(1);
  expect((await ofThings())[0]?.times).toBe(1);
});

it('a look is one request while everything is on time', async () => {
  await lookForLateRuns(services);
  pass(120);
  let requests = 0;
  const database: Services['database'] = {
    transaction: (statements, options) => {
      requests += 1;
      return services.database.transaction(statements, options);
    },
  };
  expect(await lookForLateRuns({ ...services, database }, { force: true })).toMatchObject({
    looked: true,
    symptoms: [],
  });
  expect(requests).toBe(1);
});

it.each([
  ['for want of time', 'time', 'on_time'],
  ['at its limit', 'limit', 'on_time'],
  ['because it was lost', 'lost', 'breached'],
  ['because its lease was another’s', 'lease', 'breached'],
  ['because its fence had moved', 'fenced', 'breached'],
  ['by a pause', 'paused', 'breached'],
])('a run that was interrupted %s did its work or not: %s, %s', async (_, reason, status) => {
  await lookForLateRuns(services);
  const [startedAt, finishedAt] = [new Date('2026-03-01T02:00:10Z'), new Date('2026-03-01T02:01:00Z')];
  await noteEnd(services, expectedOf(services.policies[0]!), {
    ...{ outcome: 'interrupted', reason, startedAt, finishedAt, durationSeconds: 50 },
    slaStatus: 'within_sla',
  });
  at('2026-03-01T04:30:00Z');
  expect((await lookForLateRuns(services)).statuses.things).toBe(status);
});

it('an incident of a run that is over while another is not is closed alone', async () => {
  await lookForLateRuns(services);
  at('2026-03-01T04:00:30Z');
  await othersCame();
  await e.db.sql(
    `update retention.watched set worked_at = null, started_at = null where name = 'blob-outbox'`,
  );
  await lookForLateRuns(services);
  const open = async () => (await incidents()).filter((i) => i.open).map((i) => i.cause);
  expect((await open()).sort()).toEqual(['run.late:blob-outbox', 'run.late:things']);
  pass(120);
  await runThings();
  expect(await open()).toEqual(['run.late:blob-outbox']);
});

it('a changed schedule counts from when it was first seen', async () => {
  await lookForLateRuns(services);
  at('2026-03-01T12:00:00Z');
  await runThings();
  const moved = {
    ...services,
    policies: services.policies.map((p) => ({ ...p, schedule: { run: '0 13 * * *' } })),
  };
  at('2026-03-01T16:00:00Z');
  await othersCame();
  expect((await lookForLateRuns(moved)).statuses.things).toBe('on_time');
  at('2026-03-02T16:00:00Z');
  expect((await lookForLateRuns(moved)).statuses.things).toBe('breached');
});

it('the stop of a guard is reported, and over with the first run it admits', async () => {
  const strict = {
    ...services,
    settings: { ...services.settings, guards: { ...services.settings.guards, massDeletion: true } },
  };
  await things(
    e.db,
    Array.from({ length: 40 }, () => 40 * DAY),
    new Date(now),
  );
  await e.db.sql('analyze things');
  const run = (s: Services) => cronRoute('things', () => s).GET(call('things'));
  expect(await (await run(strict)).json()).toMatchObject({ reason: 'guarded' });
  expect(await ofThings()).toMatchObject([{ cause: 'guard.stopped:things', open: true }]);
  // Also where what the last run had to tell could not be written down.
  await e.db.sql(`update retention.incident set last_seen_at = last_seen_at - interval '1 hour'`);
  await lookForLateRuns(services, { force: true });
  expect(await ofThings()).toMatchObject([{ cause: 'guard.stopped:things', open: true }]);
  pass(600);
  expect(await (await run(services)).json()).toMatchObject({ outcome: 'succeeded' });
  expect(await ofThings()).toMatchObject([{ cause: 'guard.stopped:things', open: false }]);
});

it('answers how many are watched and not on time; outside production none is late', async () => {
  const order = {
    correlationId: randomUUID(),
    deadline: new Date(now + 300_000),
    dryRun: false,
    trigger: 'cron' as const,
  };
  expect(await watchRuns(services, order)).toMatchObject({ outcome: 'succeeded', looked: true });
  expect(await e.db.sql('select count(*)::int as n from retention.watched')).toEqual([
    { n: allExpected(services).length },
  ]);
  at('2026-03-05T00:00:00Z');
  const preview = { ...services, settings: { ...services.settings, production: false } };
  expect(await watchRuns(preview, order)).toMatchObject({ outcome: 'succeeded' });
  expect(await lookForLateRuns(preview, { force: true })).toMatchObject({ looked: false });
  expect(await incidents()).toEqual([]);
});

it('a watch that cannot look does not change how a run ends', async () => {
  await e.db.sql('revoke select on retention.watched from lapse_app');
  expect((await runThings()).status).toBe(200);
});

it('a watch that cannot look says so, and calls nothing late', async () => {
  const away = connect(e.db.env.DATABASE_URL!, 'http://127.0.0.1:1/sql');
  const order = {
    correlationId: 'c',
    deadline: new Date(now + 60_000),
    dryRun: false,
    trigger: 'cron',
  } as const;
  expect(await watchRuns({ ...services, database: away }, order)).toMatchObject({
    outcome: 'errored',
    reason: 'watch',
  });
  expect(await incidents()).toEqual([]);
});
