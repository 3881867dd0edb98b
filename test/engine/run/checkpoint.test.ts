import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readBreaker } from '@/lib/engine/guard/breaker';
import { acquire, leaseToken, release, save } from '@/lib/engine/run/checkpoint';
import type { Policy } from '@/lib/policies/contract';
import { DAY, type Engine, engine, govern, left, things } from '@/test/support/engine';

let e: Engine;
let policy: Policy;
beforeEach(async () => {
  e = await engine();
  policy = await govern(e.db);
  await things(e.db, [40 * DAY, 41 * DAY, DAY]);
});
afterEach(() => e.stop());

const redis = () => e.services.redis;
/** As somebody who can write to Redis would. */
const write = (key: string, script: string) => redis().eval(script, [`${redis().prefix}things:${key}`], []);

describe('whatever stands in Redis, the policy runs, and deletes what it should', () => {
  it.each([
    ['a lease forever', 'lease', "return redis.call('set', KEYS[1], 'x')"],
    ['a lease for years', 'lease', "return redis.call('set', KEYS[1], 'x', 'px', 99999999999)"],
    ['a lease that is a list', 'lease', "return redis.call('rpush', KEYS[1], 'x')"],
    ['a cursor that is no JSON', 'cursor', "return redis.call('set', KEYS[1], '{')"],
    ['a cursor that is a list', 'cursor', "return redis.call('rpush', KEYS[1], 'x')"],
    ['a breaker open for years', 'breaker', "return redis.call('set', KEYS[1], 'open', 'px', 99999999999)"],
    ['a breaker open forever', 'breaker', "return redis.call('set', KEYS[1], 'open')"],
    ['a breaker that is a list', 'breaker', "return redis.call('rpush', KEYS[1], 'x')"],
    ['failures that are no number', 'failures', "return redis.call('set', KEYS[1], 'many')"],
    ['failures beyond count', 'failures', "return redis.call('set', KEYS[1], '1e300')"],
    ['failures that are a list', 'failures', "return redis.call('rpush', KEYS[1], 'x')"],
  ])('%s', async (_, key, script) => {
    await write(key, script);
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 2 });
    expect(await left(e.db)).toBe(1);
    expect((await readBreaker(redis(), 'things')).open).toBe(false);
  });

  it('a cursor whose position is no key of this table', async () => {
    const first = await e.run(policy, { batchSize: 1, limit: 1 });
    expect(first).toMatchObject({ reason: 'limit', deleted: 1 });
    const token = leaseToken(randomUUID());
    const held = await acquire(redis(), 'things', token);
    if (!held.held || !held.cursor) throw new Error('there is no cursor to break');
    await save(redis(), 'things', token, { ...held.cursor, position: withoutKey(held.cursor.position) });
    await release(redis(), 'things', token, false);
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 1 });
    expect(await left(e.db)).toBe(1);
  });
});

/** The same position with text where values of the table's types belong. */
function withoutKey<P>(position: P): P {
  return JSON.parse(JSON.stringify(position), (_, v) => (typeof v === 'string' ? 'no such value' : v)) as P;
}

describe('the lease', () => {
  it('shows others only its run: they can neither renew nor release it', async () => {
    const runId = randomUUID();
    const token = leaseToken(runId);
    await acquire(redis(), 'things', token);
    const other = await acquire(redis(), 'things', leaseToken(randomUUID()));
    expect(other).toMatchObject({ held: false, holder: runId });
    expect(JSON.stringify(other)).not.toContain(token.slice(runId.length));
    expect(await release(redis(), 'things', runId, false)).toBe(false);
    const skipped = await e.run(policy);
    expect(skipped).toMatchObject({ outcome: 'skipped', reason: 'locked', heldBy: { holder: runId } });
    expect(JSON.stringify(skipped)).not.toContain(token.slice(runId.length + 1));
    expect(await release(redis(), 'things', token, false)).toBe(true);
  });
});
