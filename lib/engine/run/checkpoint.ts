/**
 * What a run keeps in Redis, one lease and one cursor a policy:
 *   <prefix><policy>:lease   the holder's token (its run id and a secret), expires after LEASE_MS, renewed with each batch
 *   <prefix><policy>:cursor  JSON of Cursor, expires after CURSOR_SECONDS
 * Each change is one script, so it is atomic and safe to repeat. Losing either loses time only: the fence in
 * PostgreSQL keeps a lost lease harmless, and a pass without its cursor starts again (R3, R4).
 */
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { READ_TEXT } from '../../platform/lua';
import { KEPT_REASONS } from '../../platform/outcome';
import type { RedisClient, RedisScripts } from '../../platform/redis';
import { Position } from '../statement/leg';

/** A batch takes at most about 10 s with its answer; a dead runner is replaced half a minute later. */
const LEASE_MS = 30_000;
/** No lease is taken for longer: one that lasts beyond this, or forever, does not count. */
const MOST_LEASE_MS = 10 * LEASE_MS;
/** A policy that has not run for a week starts its pass again. */
const CURSOR_SECONDS = 7 * 86_400;

export const Cursor = z.object({
  pass: z.uuid(),
  asOf: z.iso.datetime(),
  /** Of the declaration the pass began with; another one starts a new pass. */
  version: z.string(),
  leg: z.number().int().nonnegative(),
  /** Of a partitioned table: which partition `position` is in. */
  leaf: z.string().optional(),
  position: Position.nullable(),
  /** Which run wrote this, and how far it is: live progress. */
  runId: z.uuid(),
  processed: z.number().int().nonnegative(),
  /** What there was to do when the run began; null when more than was counted. */
  total: z.number().int().nonnegative().nullable(),
  updatedAt: z.iso.datetime(),
  kept: z.partialRecord(z.enum(KEPT_REASONS), z.number()),
});
export type Cursor = z.infer<typeof Cursor>;

const leaseKey = (redis: RedisScripts, policy: string) => `${redis.prefix}${policy}:lease`;
const cursorKey = (redis: RedisScripts, policy: string) => `${redis.prefix}${policy}:cursor`;

// The same token may acquire again: a repeated request whose first answer was lost succeeds.
const ACQUIRE = `${READ_TEXT}local held = text(KEYS[1])
local left = redis.call('pttl', KEYS[1])
if held and held ~= ARGV[1] and left > 0 and left <= tonumber(ARGV[3]) then return {0, held, left} end
redis.call('set', KEYS[1], ARGV[1], 'px', ARGV[2])
return {1, text(KEYS[2])}`;

const SAVE = `${READ_TEXT}if text(KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('pexpire', KEYS[1], ARGV[2])
redis.call('set', KEYS[2], ARGV[3], 'ex', ARGV[4])
return 1`;

const RELEASE = `${READ_TEXT}if text(KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('del', KEYS[1])
if ARGV[2] == 'drained' then redis.call('del', KEYS[2]) end
return 1`;

/** Who holds the lease may renew and release it: only the run's id is ever told to others. */
export const leaseToken = (runId: string): string => `${runId}:${randomUUID()}`;

export type Acquired =
  | { readonly held: true; readonly cursor: Cursor | null }
  /** `holder`: the id of its run. */
  | { readonly held: false; readonly holder: string; readonly millisecondsLeft: number };

/** Takes the lease and reads the cursor: one command. An unreadable cursor counts as none. */
export async function acquire(redis: RedisScripts, policy: string, token: string): Promise<Acquired> {
  const answer = (await redis.eval(
    ACQUIRE,
    [leaseKey(redis, policy), cursorKey(redis, policy)],
    [token, LEASE_MS, MOST_LEASE_MS].map(String),
  )) as [number, string | null, number?];
  if (Number(answer[0]) === 1) return { held: true, cursor: parse(answer[1] ?? null) };
  const [holder = ''] = String(answer[1]).split(':');
  return { held: false, holder, millisecondsLeft: Math.max(0, Number(answer[2] ?? 0)) };
}

/** Renews the lease and saves the cursor: one command. False: the lease is someone else's, nothing was saved. */
export async function save(
  redis: RedisScripts,
  policy: string,
  token: string,
  cursor: Cursor,
): Promise<boolean> {
  const keys = [leaseKey(redis, policy), cursorKey(redis, policy)];
  const args = [token, String(LEASE_MS), JSON.stringify(cursor), String(CURSOR_SECONDS)];
  return Number(await redis.eval(SAVE, keys, args)) === 1;
}

/** Releases the lease; a drained pass no longer needs its cursor. */
export async function release(
  redis: RedisScripts,
  policy: string,
  token: string,
  drained: boolean,
): Promise<boolean> {
  const keys = [leaseKey(redis, policy), cursorKey(redis, policy)];
  return Number(await redis.eval(RELEASE, keys, [token, drained ? 'drained' : 'kept'])) === 1;
}

/** Live progress of each policy (R11): null where no pass is under way. */
export async function readProgress(
  redis: RedisClient,
  policies: readonly string[],
): Promise<Map<string, { running: boolean; cursor: Cursor | null }>> {
  const keys = policies.flatMap((p) => [leaseKey(redis, p), cursorKey(redis, p)]);
  const values = await redis.mget(keys);
  return new Map(
    policies.map((p, i) => [
      p,
      { running: Boolean(values[2 * i]), cursor: parse(values[2 * i + 1] ?? null) },
    ]),
  );
}

function parse(text: string | null): Cursor | null {
  if (text === null) return null;
  try {
    return Cursor.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

/** How long the lease of a policy still counts; 0: no run has it. */
export async function leaseSeconds(redis: RedisScripts, policy: string): Promise<number> {
  const left = Number(await redis.eval("return redis.call('pttl', KEYS[1])", [leaseKey(redis, policy)], []));
  return left > 0 && left <= MOST_LEASE_MS ? Math.ceil(left / 1000) : 0;
}
