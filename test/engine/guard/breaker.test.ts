import { afterEach, beforeEach, expect, it } from 'vitest';
import { closeBreaker, FAILURES, feedBreaker, readBreaker } from '@/lib/engine/guard/breaker';
import type { Policy } from '@/lib/policies/contract';
import { DAY, govern, things } from '@/test/support/engine';
import { type Guarded, guarded } from '@/test/support/guarded';

let e: Guarded;
let policy: Policy;
beforeEach(async () => {
  e = await guarded();
  policy = await govern(e.db);
  await things(e.db, [40 * DAY]);
});
afterEach(() => e.stop());

const { errored, worked } = {
  errored: { outcome: 'errored', reason: 'database.fatal' } as const,
  worked: { outcome: 'succeeded', reason: null } as const,
};
const feed = async (ended: Parameters<typeof feedBreaker>[3]) =>
  feedBreaker(e.services.redis, 'things', await readBreaker(e.services.redis, 'things'), ended);
/** As if the cool-down were over, without waiting for it. */
const cooledDown = () =>
  e.services.redis.eval(
    "return redis.call('del', KEYS[1])",
    [`${e.services.redis.prefix}things:breaker`],
    [],
  );
/** A database failure that no preflight sees. */
const broken = (yes: boolean) =>
  e.db.sql(
    `${yes ? 'revoke' : 'grant'} execute on function retention.write_receipt ${yes ? 'from' : 'to'} lapse_app`,
  );

it('opens after three failures in a row, then skips, and alerts once', async () => {
  await broken(true);
  for (let i = 0; i < FAILURES; i += 1)
    expect(await e.run(policy)).toMatchObject({ outcome: 'errored', deleted: 0 });
  const skipped = await e.run(policy);
  expect(skipped).toMatchObject({
    outcome: 'skipped',
    reason: 'breaker',
    requests: { postgres: 0, redis: 1 },
  });
  expect(skipped.message).toContain('3 runs failed in a row');
  const incidents = await e.db.sql('select cause, severity, times from retention.incident');
  expect(incidents).toEqual([{ cause: 'breaker.opened:things', severity: 'critical', times: 1 }]);
});

it('lets one run try after the cool-down, and closes when it works', async () => {
  await broken(true);
  for (let i = 0; i < FAILURES; i += 1) await e.run(policy);
  await cooledDown();
  await broken(false);
  expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 1 });
  expect(await readBreaker(e.services.redis, 'things')).toEqual({ open: false, secondsLeft: 0, failures: 0 });
});

it('opens for twice as long when that try fails, without a second alert', async () => {
  expect([await feed(errored), await feed(errored), await feed(errored)]).toEqual([null, null, 'opened']);
  const first = await readBreaker(e.services.redis, 'things');
  await cooledDown();
  expect(await feed(errored)).toBeNull();
  const second = await readBreaker(e.services.redis, 'things');
  expect(first.secondsLeft).toBeGreaterThan(25 * 60);
  expect(first.secondsLeft).toBeLessThanOrEqual(30 * 60);
  expect(second.secondsLeft).toBeGreaterThan(55 * 60);
  expect(second.secondsLeft).toBeLessThanOrEqual(60 * 60);
});

it('never stays open for more than twelve hours', async () => {
  for (let i = 0; i < 12; i += 1) await feed(errored);
  const { secondsLeft } = await readBreaker(e.services.redis, 'things');
  expect(secondsLeft).toBeGreaterThan(11.9 * 3600);
  expect(secondsLeft).toBeLessThanOrEqual(12 * 3600);
});

it('is closed when it lost its end, or is open for longer than it can have been opened for', async () => {
  for (const command of ["'persist', KEYS[1]", "'pexpire', KEYS[1], 99999999"]) {
    for (let i = 0; i < FAILURES; i += 1) await feed(errored);
    expect(await readBreaker(e.services.redis, 'things')).toMatchObject({ open: true });
    await e.services.redis.eval(
      `return redis.call(${command})`,
      [`${e.services.redis.prefix}things:breaker`],
      [],
    );
    expect(await readBreaker(e.services.redis, 'things')).toMatchObject({ open: false });
  }
});

it('counts failures in a row only: one success forgets them', async () => {
  await feed(errored);
  await feed(errored);
  expect(await feed(worked)).toBeNull();
  await feed(errored);
  await feed(errored);
  expect(await readBreaker(e.services.redis, 'things')).toMatchObject({ open: false, failures: 2 });
});

it.each([
  ['busy', { outcome: 'interrupted', reason: 'busy' }],
  ['locked', { outcome: 'skipped', reason: 'locked' }],
  ['paused', { outcome: 'skipped', reason: 'paused' }],
  ['guarded', { outcome: 'skipped', reason: 'guarded' }],
  ['not fit', { outcome: 'errored', reason: 'preflight' }],
] as const)('is not fed by a run that was %s', async (_, ended) => {
  for (let i = 0; i < 5; i += 1) await feed(ended);
  expect(await readBreaker(e.services.redis, 'things')).toMatchObject({ open: false, failures: 0 });
});

it('reports when it recovered, and can be closed by an operator', async () => {
  for (let i = 0; i < FAILURES; i += 1) await feed(errored);
  await cooledDown();
  expect(await feed(worked)).toBe('recovered');
  for (let i = 0; i < FAILURES; i += 1) await feed(errored);
  await closeBreaker(e.services.redis, 'things');
  expect(await readBreaker(e.services.redis, 'things')).toMatchObject({ open: false, failures: 0 });
});
