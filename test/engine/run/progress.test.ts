import { afterEach, beforeEach, expect, it } from 'vitest';
import { restoreRow } from '@/lib/engine/restoration';
import { acquire, readProgress } from '@/lib/engine/run/checkpoint';
import { runPolicy } from '@/lib/engine/run/run';
import type { Policy } from '@/lib/policies/contract';
import { DAY, type Engine, engine, govern, left, NOW, runRequest, things } from '../../support/engine';

let e: Engine;
let policy: Policy;
beforeEach(async () => {
  e = await engine();
  policy = await govern(e.db);
});
afterEach(() => e.stop());

it('how far a run is can be read while its pass is under way, and not of a policy that never ran', async () => {
  await things(
    e.db,
    [40, 41, 42, 43].map((d) => d * DAY),
  );
  await e.run(policy, { limit: 3, batchSize: 1 });
  await acquire(e.services.redis, 'things', 'a-runner-at-work');
  const progress = await readProgress(e.services.redis, ['things', 'nothing']);
  expect(progress.get('things')).toMatchObject({ running: true, cursor: { processed: 3, total: 4 } });
  expect(progress.get('nothing')).toEqual({ running: false, cursor: null });
});

it('a cursor that nobody can read counts as none', async () => {
  const key = `${e.services.redis.prefix}things:cursor`;
  await e.services.redis.eval("return redis.call('set', KEYS[1], ARGV[1])", [key], ['{"pass":']);
  expect((await readProgress(e.services.redis, ['things'])).get('things')).toEqual({
    running: false,
    cursor: null,
  });
});

it('a dry run whose record cannot be written still tells what it found', async () => {
  await things(e.db, [40 * DAY]);
  await e.db.sql('revoke execute on function retention.record_preview from lapse_app');
  expect(await e.run(policy, { dryRun: true })).toMatchObject({
    outcome: 'succeeded',
    preview: { expired: 1 },
  });
  expect(await left(e.db)).toBe(1);
});

it('while somebody keeps the locks of its policy, a run is interrupted as busy and deletes nothing', async () => {
  await things(e.db, [40 * DAY]);
  await e.run(policy, { limit: 1 });
  await things(e.db, [41 * DAY]);
  const other = await e.db.session();
  await other.sql('begin');
  await other.sql('select pg_advisory_xact_lock_shared(7001, lock_id) from retention.policy_state');
  const impatient = { ...e.services, backoff: { ...e.services.backoff, retries: 0 } };
  const result = await runPolicy(impatient, policy, runRequest(NOW));
  await other.sql('rollback');
  expect(result).toMatchObject({ outcome: 'interrupted', reason: 'busy', deleted: 0 });
  expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 1 });
});

it('of a policy that deletes at once there is nothing to restore', async () => {
  const restore = { policy, rowKey: '1', reason: 'asked', actor: 'ann' };
  await expect(restoreRow(e.services.database, restore)).rejects.toMatchObject({
    status: 422,
    code: 'not_restorable',
  });
});
