import { afterEach, beforeEach, expect, it } from 'vitest';
import { driftRoute } from '@/lib/http/drift-route';
import type { Policy } from '@/lib/policies/contract';
import { type DataMapInput, defineDataMap } from '@/lib/policies/data-map-contract';
import { readMetrics } from '@/lib/watch/metrics/read';
import { renderMetrics } from '@/lib/watch/metrics/render';
import { measureQuality } from '@/lib/watch/quality/job';
import { DAY, type Engine, engine, govern, NOW, things, thingsPolicy } from '../../support/engine';
import { OPERATORS, TOKENS } from '../../support/operators';

let e: Engine;
let policy: Policy;
beforeEach(async () => {
  e = await engine({ env: { LAPSE_OPERATORS: OPERATORS } });
  await e.db.sql('drop schema public cascade');
  await e.db.sql('create schema public');
  await e.db.sql('grant usage on schema public to lapse_app');
  policy = await govern(e.db);
});
afterEach(() => e.stop());

const services = (map: DataMapInput, at = NOW) => ({
  ...e.services,
  policies: [policy],
  dataMap: defineDataMap(map),
  clock: () => at,
});
const measure = (map: DataMapInput, { at = NOW, dryRun = false } = {}) =>
  measureQuality(services(map, at), {
    correlationId: 'c',
    deadline: new Date(at.getTime() + 240_000),
    dryRun,
    trigger: 'cron',
  });
const mapped: DataMapInput = { 'public.things': { policy: 'things', confidential: { delete: ['note'] } } };
const stored = () =>
  e.db.sql('select kind, subject, found_at = seen_at as fresh from retention.drift order by 1, 2');
const metric = async () =>
  (await renderMetrics(await readMetrics(services(mapped)), []))
    .split('\n')
    .filter((line) => line.startsWith('retention_drift_findings') && !line.endsWith(' 0'));

it('a table added later is told by the next look: in the job, the record, an incident and the metrics', async () => {
  expect((await measure(mapped)).drift).toEqual([]);
  expect(await metric()).toEqual([]);
  await e.db.sql('create table notes (id int primary key, email text)');
  const { outcome, drift } = await measure(mapped);
  expect(outcome).toBe('succeeded');
  expect(drift).toMatchObject([{ kind: 'table', subject: 'public.notes' }]);
  expect(await stored()).toEqual([{ kind: 'table', subject: 'public.notes', fresh: true }]);
  expect(await metric()).toEqual(['retention_drift_findings{kind="table"} 1']);
  const incidents = () =>
    e.db.sql(`select cause, severity, recovered_at is null as open from retention.incident`);
  expect(await incidents()).toEqual([{ cause: 'drift.found:table', severity: 'warning', open: true }]);

  // The same finding the next day is no news; mended, it is gone.
  await measure(mapped, { at: new Date(NOW.getTime() + DAY * 1000) });
  expect(await stored()).toEqual([{ kind: 'table', subject: 'public.notes', fresh: false }]);
  await measure({
    ...mapped,
    'public.notes': { kept: 'while the account lasts', confidential: { delete: ['email'] } },
  });
  expect(await stored()).toEqual([]);
  expect(await incidents()).toEqual([{ cause: 'drift.found:table', severity: 'warning', open: false }]);
});

it('a policy whose table went stops no other', async () => {
  await things(e.db, [40 * DAY]);
  const lost = thingsPolicy({ name: 'lost', table: { name: 'lost' } });
  const s = { ...services(mapped), policies: [lost, policy] };
  const order = {
    correlationId: 'c',
    deadline: new Date(NOW.getTime() + 240_000),
    dryRun: false,
    trigger: 'cron' as const,
  };
  const { drift, policies } = await measureQuality(s, order);
  expect(drift).toMatchObject([
    { kind: 'policy', subject: 'lost', problem: expect.stringContaining('does not exist') },
  ]);
  expect(policies).toBe(2);
  expect((await e.run(policy)).deleted).toBe(1);
});

it('a dry run looks and keeps nothing', async () => {
  expect((await measure({}, { dryRun: true })).drift).toMatchObject([
    { kind: 'table', subject: 'public.things' },
  ]);
  expect(await stored()).toEqual([]);
});

it('a look that cannot be kept is told as failed, and what is measured beside it is kept', async () => {
  await e.db.sql('revoke insert on retention.drift from lapse_app');
  expect(await measure({})).toMatchObject({ outcome: 'succeeded', policies: 1, drift: null });
  expect(await stored()).toEqual([]);
  expect(await e.db.sql('select distinct policy from retention.quality')).toEqual([{ policy: 'things' }]);
});

it('an operator reads each finding with what to write', async () => {
  await measure({});
  const get = (token: string, query = '') =>
    driftRoute(() => services({}))(
      new Request(`http://localhost/api/reports/drift${query}`, {
        headers: { authorization: `Bearer ${token}` },
      }),
    );
  expect(await (await get(TOKENS.alice)).json()).toEqual({
    drift: [
      {
        kind: 'table',
        subject: 'public.things',
        problem: 'public.things has no decision in the data map; note looks personal',
        remedy: `  'public.things': { policy: 'things', confidential: { delete: ['note'] } },`,
        since: '2026-03-01T02:00:00Z',
      },
    ],
  });
  expect((await get('a-secret-of-the-tests')).status).toBe(401);
  expect((await get(TOKENS.alice, '?x=1')).status).toBe(400);
});
