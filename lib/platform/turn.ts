/**
 * One at a time: what reads much and is not a policy (a job, a lineage, a verification) holds
 * `<prefix>turn:<name>` while it works. Correctness never depends on it, only the cost; so without Redis the
 * work is done anyway: what watches over Lapse must work just then.
 */
import { randomUUID } from 'node:crypto';
import { READ_TEXT } from './lua';
import type { RedisClient } from './redis';

const TAKE = `${READ_TEXT}local left = redis.call('pttl', KEYS[1])
if text(KEYS[1]) and left > 0 and left <= tonumber(ARGV[3]) then return left end
redis.call('set', KEYS[1], ARGV[1], 'px', ARGV[2])
return 0`;

const GIVE_BACK = `${READ_TEXT}if text(KEYS[1]) == ARGV[1] then redis.call('del', KEYS[1]) end
return 1`;

/** Added to the function's own limit: if the platform kills the function, the turn expires by itself. */
const MARGIN_MS = 15_000;
/** No function works longer than this; a turn with a longer expiry is invalid. */
const LONGEST_MS = 1_800_000 + MARGIN_MS;

export type Turn<R> =
  | { readonly mine: true; readonly result: R }
  | { readonly mine: false; readonly secondsLeft: number };

/** `forMs`: how long the work may take at most. */
export async function inTurn<R>(
  redis: RedisClient,
  name: string,
  forMs: number,
  work: () => Promise<R>,
): Promise<Turn<R>> {
  const key = `${redis.prefix}turn:${name}`;
  const token = randomUUID();
  const ms = Math.min(Math.max(1, Math.ceil(forMs)) + MARGIN_MS, LONGEST_MS);
  const left = await redis.eval(TAKE, [key], [token, String(ms), String(LONGEST_MS)]).catch(() => 0);
  if (Number(left) > 0) return { mine: false, secondsLeft: Math.ceil(Number(left) / 1000) };
  try {
    return { mine: true, result: await work() };
  } finally {
    await redis.eval(GIVE_BACK, [key], [token]).catch(() => undefined);
  }
}
