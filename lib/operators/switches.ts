/**
 * Stopping and resuming (R12): pause one policy or all, release a stuck lease, close a breaker. Each takes
 * effect at the next batch at the latest; when the answer comes, no older batch can still run.
 */

import { closeBreaker } from '../engine/guard/breaker';
import { RequestError } from '../platform/errors';
import { ORDER_JOB } from '../platform/jobs';
import type { RedisClient } from '../platform/redis';
import { type Acting, type Done, decide } from './carry-out';

export function knownPolicy(acting: Acting, name: string): string {
  const { policies } = acting.services;
  if (policies.some((p) => p.name === name)) return name;
  const list = policies.map((p) => p.name).join(', ');
  throw new RequestError(
    404,
    'unknown_policy',
    `there is no policy "${name}"; the policies are ${list}`,
    'policy',
  );
}

/** The order review is no policy, but money can be held back like rows. */
const knownPausable = (acting: Acting, name: string): string =>
  acting.services.orderReview && name === ORDER_JOB.name ? name : knownPolicy(acting, name);

export async function pausePolicy(acting: Acting, name: string): Promise<Done> {
  knownPausable(acting, name);
  const done = await decide(acting, 'pause_policy', [name]);
  if (done) return done;
  throw new RequestError(409, 'paused', `"${name}" is paused already`, 'policy');
}

export async function resumePolicy(acting: Acting, name: string): Promise<Done> {
  knownPausable(acting, name);
  const done = await decide(acting, 'resume_policy', [name]);
  if (done) return done;
  throw new RequestError(409, 'not_paused', `"${name}" is not paused`, 'policy');
}

export async function stopAll(acting: Acting): Promise<Done> {
  const done = await decide(acting, 'stop_all', []);
  if (done) return done;
  throw new RequestError(409, 'stopped', 'everything is stopped already');
}

export async function resumeAll(acting: Acting): Promise<Done> {
  const done = await decide(acting, 'resume_all', []);
  if (done) return done;
  throw new RequestError(409, 'not_stopped', 'nothing is stopped for all');
}

/** The fence first: a run that held the lease deletes nothing more, whatever it still believes. */
export async function releaseLease(acting: Acting, name: string): Promise<Done & { leaseRemoved: boolean }> {
  knownPolicy(acting, name);
  const done = await decide(acting, 'release_lease', [name]);
  if (!done) throw new RequestError(409, 'never_ran', `"${name}" has never run`, 'policy');
  return { ...done, leaseRemoved: await removeLease(acting.services.redis, name) };
}

/** Without Redis the lease runs out by itself; the fence has moved already. */
async function removeLease(redis: RedisClient, name: string): Promise<boolean> {
  try {
    return (
      Number(await redis.eval("return redis.call('del', KEYS[1])", [`${redis.prefix}${name}:lease`], [])) ===
      1
    );
  } catch {
    return false;
  }
}

export async function closeBreakerOf(acting: Acting, name: string): Promise<Done> {
  knownPolicy(acting, name);
  // Recorded first: a breaker closed without a record would be the worse half.
  const done = await decide(acting, 'note_breaker_closed', [name]);
  await closeBreaker(acting.services.redis, name);
  return done!;
}
