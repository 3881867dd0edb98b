/**
 * Stopping and letting go on (R12): pause one policy or all, release a stuck lease, close a breaker. Each takes
 * effect at the next batch at the latest; when the answer comes, no older batch can still run.
 */
import { ORDER_JOB } from '../crons';
import { RequestError } from '../errors';
import { closeBreaker } from '../guard/breaker';
import type { RedisClient } from '../redis';
import { type Acting, carryOut, type Done } from './carry-out';

export function knownPolicy(acting: Acting, name: string): string {
  const { policies } = acting.services;
  if (policies.some((p) => p.name === name)) return name;
  const list = policies.map((p) => p.name).join(', ');
  throw new RequestError(404, 'unknown_policy', `there is no policy "${name}"; there are ${list}`, 'policy');
}

/** The order review is no policy, but money can be held back like rows. */
const knownPausable = (acting: Acting, name: string): string =>
  acting.services.orderReview && name === ORDER_JOB.name ? name : knownPolicy(acting, name);

export async function pausePolicy(acting: Acting, name: string): Promise<Done> {
  knownPausable(acting, name);
  const done = await carryOut(
    acting,
    'policy.paused',
    (p) => `insert into retention.policy_state as s (policy, paused, paused_by, paused_reason, paused_at)
      values (${p.add(name)}, true, ${p.add(acting.operator)}, ${p.add(acting.reason)}, clock_timestamp())
      on conflict (policy) do update set paused = true, paused_by = excluded.paused_by,
        paused_reason = excluded.paused_reason, paused_at = excluded.paused_at
        where not s.paused
      returning policy, jsonb_build_object('run', run_now)`,
  );
  if (done) return done;
  throw new RequestError(409, 'paused', `"${name}" is paused already`, 'policy');
}

export async function resumePolicy(acting: Acting, name: string): Promise<Done> {
  knownPausable(acting, name);
  const done = await carryOut(
    acting,
    'policy.resumed',
    (
      p,
    ) => `update retention.policy_state s set paused = false, paused_by = null, paused_reason = null, paused_at = null
      from retention.policy_state old where s.policy = ${p.add(name)} and old.policy = s.policy and s.paused
      returning s.policy, jsonb_build_object('paused_by', old.paused_by, 'paused_at', old.paused_at)`,
  );
  if (done) return done;
  throw new RequestError(409, 'not_paused', `"${name}" is not paused`, 'policy');
}

export async function stopAll(acting: Acting): Promise<Done> {
  const done = await carryOut(
    acting,
    'all.stopped',
    (p) => `update retention.kill_switch set stopped = true, stopped_by = ${p.add(acting.operator)},
        reason = ${p.add(acting.reason)}, stopped_at = clock_timestamp()
      where not stopped returning 'all', '{}'::jsonb`,
  );
  if (done) return done;
  throw new RequestError(409, 'stopped', 'everything is stopped already');
}

export async function resumeAll(acting: Acting): Promise<Done> {
  const done = await carryOut(
    acting,
    'all.resumed',
    () => `update retention.kill_switch k set stopped = false, stopped_by = null, reason = null, stopped_at = null
      from retention.kill_switch old where k.stopped
      returning 'all', jsonb_build_object('stopped_by', old.stopped_by, 'stopped_at', old.stopped_at)`,
  );
  if (done) return done;
  throw new RequestError(409, 'not_stopped', 'nothing is stopped for all');
}

/** The fence first: whoever held the lease deletes nothing more, whatever it still believes. */
export async function releaseLease(acting: Acting, name: string): Promise<Done & { leaseRemoved: boolean }> {
  knownPolicy(acting, name);
  const done = await carryOut(
    acting,
    'lease.released',
    (p) => `update retention.policy_state s set fence = s.fence + 1, run_now = null
      from retention.policy_state old where s.policy = ${p.add(name)} and old.policy = s.policy
      returning s.policy, jsonb_build_object('run', old.run_now, 'fence', s.fence)`,
  );
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
  const done = await carryOut(acting, 'breaker.closed', (p) => `select ${p.add(name, 'text')}, '{}'::jsonb`);
  await closeBreaker(acting.services.redis, name);
  return done!;
}
