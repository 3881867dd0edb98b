import { afterEach, beforeEach, expect, it } from 'vitest';
import { feedBreaker, readBreaker } from '@/lib/engine/guard/breaker';
import { connectRedis } from '@/lib/platform/redis';
import type { Policy } from '@/lib/policies/contract';
import type { Services } from '@/lib/services';
import { DAY, govern, things } from '../support/engine';
import { type Guarded, guarded } from '../support/guarded';
import { act, list, OPERATORS } from '../support/operators';

let e: Guarded;
let policy: Policy;
let services: Services;
beforeEach(async () => {
  e = await guarded({ LAPSE_OPERATORS: OPERATORS });
  policy = await govern(e.db);
  services = { ...e.services, policies: [policy] };
});
afterEach(() => e.stop());

/** Nobody listens there. */
const withoutRedis = (): Services => ({
  ...services,
  redis: connectRedis('http://127.0.0.1:1', 'token', 'away'),
});

it('an operator closes an open breaker, on the record, and the next run works', async () => {
  await things(e.db, [40 * DAY]);
  for (let run = 0; run < 3; run += 1) {
    const before = await readBreaker(services.redis, policy.name);
    await feedBreaker(services.redis, policy.name, before, { outcome: 'errored', reason: 'database.fatal' });
  }
  expect(await e.run(policy)).toMatchObject({ outcome: 'skipped', reason: 'breaker' });
  const close = { action: 'breaker.close', policy: 'things', reason: 'the index is there now' };
  expect((await act(services, 'alice', close)).body).toMatchObject({ entry: 1, subject: 'things' });
  expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 1 });
  const unknown = await act(services, 'alice', { ...close, policy: 'nothing' });
  expect(unknown.body.error).toMatchObject({ field: 'policy' });
});

it('while Redis is away a stuck lease is released all the same: the fence has moved, the lease runs out', async () => {
  await e.run(policy);
  const release = { action: 'lease.release', policy: 'things', reason: 'runner died' };
  expect((await act(withoutRedis(), 'alice', release)).body).toMatchObject({ leaseRemoved: false });
});

it('while Redis is away the state of each policy is told without its breaker', async () => {
  expect((await list(withoutRedis(), '?list=state')).body).toMatchObject({
    policies: [{ policy: 'things', breaker: null }],
  });
});
