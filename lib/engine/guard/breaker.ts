/**
 * Circuit breaker per policy (R8), in Redis so that it outlives instances:
 *   <prefix><policy>:failures  how many runs failed in a row, forgotten after FORGET_SECONDS
 *   <prefix><policy>:breaker   present while open, expires after the cool-down
 * Opens after FAILURES in a row, then lets one run try (the lease keeps it at one): success closes it, another
 * failure opens it again for twice as long. Losing Redis loses no safety: without it no run gets its lease.
 */

import { READ_TEXT } from '../../platform/lua';
import type { Ending } from '../../platform/outcome';
import type { RedisScripts } from '../../platform/redis';

/** One failure is weather and two are bad luck: a nightly policy gets three nights. */
export const FAILURES = 3;
/** Time for an operator to look, and two tries an hour at most for the others sharing the database. */
const FIRST_OPEN_MS = 30 * 60_000;
/** So that a nightly policy is tried again the next night. */
const LONGEST_OPEN_MS = 12 * 3_600_000;
/** A policy that has not run for a month starts anew. */
const FORGET_SECONDS = 30 * 86_400;

const keysOf = (redis: RedisScripts, policy: string) => [
  `${redis.prefix}${policy}:breaker`,
  `${redis.prefix}${policy}:failures`,
];

/** Each failure doubles the cool-down; beyond this many it is the longest anyway. */
const MOST_FAILURES = 100;

// What cannot be a count is none, and what is open for longer than ever set, or forever, is closed.
const COUNT = `${READ_TEXT}local function count(key, most)
  local n = tonumber(text(key) or '0')
  if n == nil or n ~= n or n < 0 then return 0 end
  return math.min(math.floor(n), most)
end
`;

const ADMIT = `${COUNT}local left = redis.call('pttl', KEYS[1])
if left == -1 or left > tonumber(ARGV[1]) then
  redis.call('del', KEYS[1])
  left = 0
end
local n = string.format('%d', count(KEYS[2], tonumber(ARGV[2])))
if left > 0 then return {0, left, n} end
return {1, 0, n}`;

const FAILED = `${COUNT}local n = count(KEYS[2], tonumber(ARGV[5])) + 1
redis.call('set', KEYS[2], string.format('%d', n), 'ex', ARGV[1])
local over = n - tonumber(ARGV[2])
if over >= 0 then
  local ms = tonumber(ARGV[3])
  for _ = 1, over do ms = math.min(ms * 2, tonumber(ARGV[4])) end
  redis.call('set', KEYS[1], 'open', 'px', string.format('%d', ms))
end
return n`;

const CLOSE = `return redis.call('del', KEYS[1], KEYS[2])`;

export interface BreakerState {
  readonly open: boolean;
  readonly secondsLeft: number;
  /** Runs that failed in a row. */
  readonly failures: number;
}

/** One command. */
export async function readBreaker(redis: RedisScripts, policy: string): Promise<BreakerState> {
  const [closed, left, failures] = (await redis.eval(
    ADMIT,
    keysOf(redis, policy),
    [LONGEST_OPEN_MS, MOST_FAILURES].map(String),
  )) as [number, number, string | null];
  return {
    open: Number(closed) === 0,
    secondsLeft: Math.ceil(Number(left) / 1000),
    failures: Number(failures ?? 0),
  };
}

// Without an end it would be open forever: the next run closes it.
const OPEN = `local left = {}
for i, key in ipairs(KEYS) do left[i] = redis.call('pttl', key) end
return left`;

/** Seconds until each of these policies is tried again; 0 for one whose breaker is closed. One command for all. */
export async function openBreakers(
  redis: RedisScripts,
  policies: readonly string[],
): Promise<ReadonlyMap<string, number>> {
  if (policies.length === 0) return new Map();
  const keys = policies.map((policy) => keysOf(redis, policy)[0]!);
  const left = (await redis.eval(OPEN, keys, [])) as number[];
  const seconds = (ms: number) => (ms > 0 && ms <= LONGEST_OPEN_MS ? Math.ceil(ms / 1000) : 0);
  return new Map(policies.map((policy, i) => [policy, seconds(Number(left[i]))]));
}

/** Closes it and forgets the failures. */
export async function closeBreaker(redis: RedisScripts, policy: string): Promise<void> {
  await redis.eval(CLOSE, keysOf(redis, policy), []);
}

/** Endings that say nothing about whether the policy works; a refusal by preflight costs one request and names its cure. */
const NEUTRAL = ['busy', 'paused', 'stopped', 'fenced', 'lease', 'preflight', 'redis'];

/**
 * Tells the breaker how a run ended. Returns `opened` once, when this failure opened it, and `recovered` when
 * this success closed it; costs a command only when there is something to change.
 */
export async function feedBreaker(
  redis: RedisScripts,
  policy: string,
  before: BreakerState,
  ended: Pick<Ending, 'outcome' | 'reason'>,
): Promise<'opened' | 'recovered' | null> {
  if (NEUTRAL.includes(ended.reason ?? '')) return null;
  if (ended.outcome === 'errored') {
    const args = [FORGET_SECONDS, FAILURES, FIRST_OPEN_MS, LONGEST_OPEN_MS, MOST_FAILURES].map(String);
    const failures = Number(await redis.eval(FAILED, keysOf(redis, policy), args));
    return failures === FAILURES ? 'opened' : null;
  }
  if (ended.outcome === 'skipped' || before.failures === 0) return null;
  await closeBreaker(redis, policy);
  return before.failures >= FAILURES ? 'recovered' : null;
}
