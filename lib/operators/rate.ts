/**
 * How often one operator may act: a counter a minute in Redis, `<prefix>control:<who>`, gone after it. Stopping
 * everything must work while Redis is away, so without it an authenticated operator is let through. Who is refused is
 * counted elsewhere, in memory (lib/http/refusals.ts).
 */
import { RequestError } from '../platform/errors';
import type { RedisClient } from '../platform/redis';

/** A person with a script releases a page of dead letters; a runaway script is stopped within a second. */
const PER_MINUTE = 120;

// A counter that lost its end, or is no counter, would keep an operator out forever.
const COUNT = `local n = redis.pcall('incr', KEYS[1])
if type(n) == 'table' then
  redis.call('set', KEYS[1], '1')
  n = 1
end
if redis.call('pttl', KEYS[1]) < 0 then redis.call('pexpire', KEYS[1], 60000) end
return n`;

/** Throws RequestError 429. `who`: the operator, or the operator and what is limited more strictly. */
export async function limitRate(redis: RedisClient, who: string, most = PER_MINUTE): Promise<void> {
  const count = await redis.eval(COUNT, [`${redis.prefix}control:${who}`], []).catch(() => 0);
  if (Number(count) > most) {
    throw new RequestError(429, 'too_many', `more than ${most} requests a minute; wait one`);
  }
}
