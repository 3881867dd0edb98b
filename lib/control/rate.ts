/**
 * How often one operator may act: a counter a minute in Redis, `<prefix>control:<who>`, gone after it. Stopping
 * everything must work while Redis is away, so without it an authenticated operator is let through. Who is refused is
 * counted elsewhere, in memory (lib/http/refusals.ts).
 */
import { RequestError } from '../errors';
import type { RedisClient } from '../redis';

/** A person with a script releases a page of dead letters; a runaway script is stopped within a second. */
const PER_MINUTE = 120;

const COUNT = `local n = redis.call('incr', KEYS[1])
if n == 1 then redis.call('pexpire', KEYS[1], 60000) end
return n`;

/** Throws RequestError 429. `who`: the operator, or the operator and what is limited more strictly. */
export async function limitRate(redis: RedisClient, who: string, most = PER_MINUTE): Promise<void> {
  const count = await redis.eval(COUNT, [`${redis.prefix}control:${who}`], []).catch(() => 0);
  if (Number(count) > most) {
    throw new RequestError(429, 'too_many', `more than ${most} requests a minute; wait one`);
  }
}
