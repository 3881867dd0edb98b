import { Client } from 'pg';
import { afterEach, describe, expect, it } from 'vitest';
import { chaos, randomOf } from '@/lib/dev/proof/chaos';
import {
  organizationsThatLose,
  pathsNamed,
  pathsThatStay,
  type Tier,
  tiersThatGo,
} from '@/lib/dev/proof/truth';
import type { RunResult } from '@/lib/engine/run/result';
import { runPolicy } from '@/lib/engine/run/run';
import { seedArtifacts } from '@/lib/example/artifacts';
import { seedBlobs } from '@/lib/example/blobs';
import { artifacts } from '@/lib/example/policies/artifacts';
import { drainOutbox } from '@/lib/files/drain';
import type { Services } from '@/lib/services';
import { runRequest } from '../support/engine';
import { type Files, files } from '../support/files';

let f: Files;
let truth: Client;
afterEach(async () => {
  await truth?.end();
  await f?.stop();
});

/** 1,500 artifacts of 100 organizations over four tiers, with their files in the store. */
async function seeded(count = 1_500, organizations = 100, missingEvery?: number) {
  f = await files();
  const services: Services = { ...f.services, policies: [artifacts] };
  await seedArtifacts(f.db.ownerUrl, { artifacts: count, organizations, asOf: f.now() });
  await seedBlobs(f.db.ownerUrl, f.cloud.blob, {
    policies: [artifacts],
    asOf: f.now(),
    ...(missingEvery ? { missingEvery } : {}),
  });
  truth = new Client(f.db.ownerUrl);
  await truth.connect();
  const stays = await pathsThatStay(truth, f.now());
  return {
    services,
    tiers: await tiersThatGo(truth, f.now()),
    orgs: await organizationsThatLose(truth, f.now()),
    left: f.stored().filter((p) => stays.has(p)),
    before: f.stored(),
  };
}

const run = (services: Services, changes = {}) =>
  runPolicy(services, artifacts, runRequest(f.now(), changes));
const deletedTiers = (r: RunResult) =>
  Object.entries(r.byRule)
    .map(([label, x]) => ({ label, artifacts: x.deleted, bytes: x.bytes }))
    .sort((a, b) => (a.label < b.label ? -1 : 1));
const withoutFiles = (tiers: readonly Tier[]) =>
  tiers.map(({ label, artifacts: n, bytes }) => ({ label, artifacts: n, bytes }));
const total = (tiers: readonly Tier[], of: 'artifacts' | 'files' | 'bytes') =>
  tiers.reduce((n, t) => n + t[of], 0);

/** Drains until nothing is open; waiting moves the clock. */
async function drained(services: Services) {
  let last: unknown;
  for (let calls = 1; calls < 200; calls += 1) {
    const result = await drainOutbox(services, {
      correlationId: 'test',
      deadline: new Date(f.now().getTime() + 240_000),
      dryRun: false,
      patienceMs: 120_000,
      random: randomOf(calls),
      wait: async (ms) => f.pass(ms / 1000),
    });
    if (result.open === 0 || result.outcome === 'errored') return result;
    last = result;
    // An unlucky file waits for hours: twelve failures in a row are rare, and there are many files.
    f.pass(calls < 100 ? 121 : 3_600);
  }
  const open = await f.db.sql(
    `select state, error_class, attempts, missed, next_attempt_at, claimed_until, clock_timestamp() as now from retention.outbox where state not in ('deleted', 'kept') limit 3`,
  );
  throw new Error(`never drained: ${JSON.stringify({ last, open, clock: f.now() })}`);
}

describe('artifacts by tier', () => {
  it('go with their files exactly as an independent count says, and the store is left with the others', async () => {
    const { services, tiers, orgs, left } = await seeded();
    expect(tiers.map((t) => t.label)).toEqual(['basic', 'free', 'override', 'pro']);
    const result = await run(services);
    expect(result.outcome).toBe('succeeded');
    expect(deletedTiers(result)).toEqual(withoutFiles(tiers));
    expect(result.filesQueued).toBe(total(tiers, 'files'));
    expect(result.bytesFreed).toBe(total(tiers, 'bytes'));
    expect(result.kept).toMatchObject({ unknown_rule: 1 });
    f.pass(5);
    expect(await drained(services)).toMatchObject({ outcome: 'succeeded', dead: 0 });
    expect(f.stored()).toEqual(left);
    expect([...(await pathsNamed(truth))].sort()).toEqual([...left].sort());
    const events = await f.db.sql(
      'select event, total_orgs::int, artifacts_deleted::int, bytes_freed::int from retention.audit_event',
    );
    expect(events).toEqual([
      {
        event: 'ARTIFACT_RETENTION_DELETE',
        total_orgs: orgs,
        artifacts_deleted: total(tiers, 'artifacts'),
        bytes_freed: total(tiers, 'bytes'),
      },
    ]);
  });

  it('are predicted exactly by a dry run, tier by tier, which touches neither rows nor files', async () => {
    const { services, tiers, before } = await seeded();
    const calls = chaos(0, 1);
    f.cloud.setFaults(calls.faults);
    const dry = await run(services, { dryRun: true });
    const predicted = Object.entries(dry.preview!.byRule)
      .map(([label, x]) => ({ label, artifacts: x.expired, files: x.files, bytes: x.bytes }))
      .sort((a, b) => (a.label < b.label ? -1 : 1));
    expect(predicted).toEqual(tiers);
    expect(dry.preview).toMatchObject({ complete: true, kept: { unknown_rule: 1 } });
    expect(f.stored()).toEqual(before);
    expect(calls.counts.calls).toBe(0);
    expect(await f.db.sql('select count(*)::int as n from artifacts')).toEqual([{ n: 1_500 }]);
    expect(await f.entries()).toEqual({});
  });

  it('without a file in the store, or without a storage key, still go', async () => {
    const { services, tiers, left } = await seeded(1_500, 100, 3);
    const result = await run(services);
    expect(deletedTiers(result)).toEqual(withoutFiles(tiers));
    f.pass(5);
    const result2 = await drained(services);
    expect(result2).toMatchObject({ outcome: 'succeeded', dead: 0 });
    expect(f.stored()).toEqual(left);
  });

  it.each([1, 2, 3])(
    'with 30 % of all blob calls failing leave no orphan and lose no live file (seed %i)',
    async (seed) => {
      const { services, tiers, left } = await seeded(600, 60);
      const bad = chaos(0.3, seed);
      f.cloud.setFaults(bad.faults);
      const result = await run(services);
      expect(deletedTiers(result)).toEqual(withoutFiles(tiers));
      f.pass(5);
      expect(await drained(services)).toMatchObject({ outcome: 'succeeded', dead: 0, open: 0 });
      f.cloud.setFaults(undefined);
      expect(bad.counts.failed).toBeGreaterThan(20);
      expect(f.stored()).toEqual(left);
    },
  );

  it.each([
    [1, 20],
    [3, 2],
  ])(
    'killed between any two calls and resumed come to the same end, with lanes: %i',
    async (lanes, batchSize) => {
      const { services, tiers, left } = await seeded(300, 40);
      await f.db.sql('analyze artifacts, organizations');
      let [kills, atWork, atOnce] = [0, 0, 0];
      const random = randomOf(9);
      for (let attempt = 0; ; attempt += 1) {
        // Every call may be the last one of its process; later processes live a little longer.
        let lives = 1 + Math.floor(random() * (6 + attempt / 3));
        const mortal = <T extends object>(whole: T): T =>
          new Proxy(whole, {
            get: (target, key) => {
              const value = Reflect.get(target, key);
              if (typeof value !== 'function') return value;
              return async (...a: unknown[]) => {
                lives -= 1;
                if (lives === 0) {
                  const done =
                    random() < 0.5 ? await value.apply(target, a).catch(() => undefined) : undefined;
                  kills += 1;
                  throw new Error(`killed ${done === undefined ? 'before' : 'after'} a call`);
                }
                if (lives < 0) throw new Error('dead');
                atWork += 1;
                atOnce = Math.max(atOnce, atWork);
                return value.apply(target, a).finally(() => {
                  atWork -= 1;
                });
              };
            },
          });
        const mine = {
          ...services,
          database: mortal(services.database),
          blob: mortal(services.blob!),
          settings: { ...services.settings, batchSize, lanes },
        };
        const result = await run(mine).catch(() => null);
        // The lease of a killed process expires, and so do its claims.
        await services.redis.eval(
          "redis.call('del', KEYS[1])",
          [`${services.redis.prefix}artifacts:lease`],
          [],
        );
        f.pass(125);
        const drain =
          result === null
            ? null
            : await drainOutbox(mine, {
                correlationId: 'test',
                deadline: new Date(f.now().getTime() + 240_000),
                dryRun: false,
              }).catch(() => null);
        f.pass(125);
        if (result?.outcome === 'succeeded' && drain?.outcome === 'succeeded') break;
        expect(attempt).toBeLessThan(400);
      }
      expect(kills).toBeGreaterThan(10);
      expect(atOnce).toBeGreaterThanOrEqual(lanes);
      expect(f.stored()).toEqual(left);
      const named = await f.db.sql<{ n: number }>(
        'select count(*)::int as n from (select k from retention.receipt r, unnest(retention.keys_of(r)) k group by k having count(*) = 1) x',
      );
      expect(named[0]?.n).toBe(total(tiers, 'artifacts'));
      const sums = await f.db.sql<{ n: number }>('select sum(deleted)::int as n from retention.tenant_total');
      expect(sums[0]?.n).toBe(total(tiers, 'artifacts'));
    },
  );
});
