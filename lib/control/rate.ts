/**
 * How often one operator may act: a counter a minute in Redis, `<prefix>control:<who>`, gone after it. Stopping
 * everything must work while Redis is away, so without it an authenticated operator is let through.
 */
import { RequestError } from '../errors';
import type { RedisClient } from '../redis';

/** A person with a script releases a page of dead letters; a runaway script is stopped within a second. */
const PER_MINUTE = 120;
/** Wrong tokens from anywhere: guessing 256 bits is hopeless anyway, a flood of it costs others nothing. */
const REFUSED_PER_MINUTE = 30;
export const NOBODY = '(unauthorized)';

const COUNT = `local n = redis.call('incr', KEYS[1])
if n == 1 then redis.call('pexpire', KEYS[1], 60000) end
return n`;

/** Throws RequestError 429. */
export async function limitRate(redis: RedisClient, who: string): Promise<void> {
  const most = who === NOBODY ? REFUSED_PER_MINUTE : PER_MINUTE;
  const count = await redis.eval(COUNT, [`${redis.prefix}control:${who}`], []).catch(() => 0);
  if (Number(count) > most) {
    throw new RequestError(429, 'too_many', `more than ${most} requests a minute; wait one`);
  }
}
