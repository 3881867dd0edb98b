/**
 * How often someone may try a token: so many failures an address, and so many in all, counted in Redis with a sliding window
 * (@upstash/ratelimit). Only failures count. An address that has not failed is always let try, so that no flood from
 * elsewhere keeps an operator out; and without an answer of Redis the instance counts in its own memory: never open, never
 * closed, because everything must be stoppable while Redis is away.
 */
import { Ratelimit } from '@upstash/ratelimit';
import { Redis } from '@upstash/redis';
import type { Settings } from '../../platform/settings';

/** An operator who mistypes a token tries a few times. */
const EACH = 5;
/** A whole team on the day its tokens change. */
const ALL = 50;
const WINDOW_MS = 15 * 60_000;
const WINDOW = '15 m';
/** A person waits at the form. */
const ANSWER_MS = 1_000;
const EVERYONE = 'everyone';
/** Of addresses that one instance remembers. */
const MOST_REMEMBERED = 10_000;

interface Counter {
  left(who: string): Promise<number>;
  count(who: string): Promise<void>;
}

export interface Tries {
  /** Whether this address may try now. Never throws. */
  mayTry(address: string): Promise<boolean>;
  failed(address: string): Promise<void>;
}

export function tries(
  settings: Pick<Settings, 'redisUrl' | 'redisToken' | 'namespace'>,
  nowMs: () => number = Date.now,
  answerMs = ANSWER_MS,
): Tries {
  const shared = {
    each: inRedis(settings, 'each', EACH, answerMs),
    all: inRedis(settings, 'all', ALL, answerMs),
  };
  const own = { each: inMemory(EACH, nowMs), all: inMemory(ALL, nowMs) };
  return {
    async mayTry(address) {
      const [each, all] = await either(
        () => Promise.all([shared.each.left(address), shared.all.left(EVERYONE)]),
        () => Promise.all([own.each.left(address), own.all.left(EVERYONE)]),
        answerMs,
      );
      return each === EACH || (each > 0 && all > 0);
    },
    async failed(address) {
      // Counted here in any case: Redis may be away at the next try.
      await Promise.all([own.each.count(address), own.all.count(EVERYONE)]);
      await either(
        () => Promise.all([shared.each.count(address), shared.all.count(EVERYONE)]),
        async () => undefined,
        answerMs,
      );
    },
  };
}

/** What `first` answers in time, else what `second` does. */
async function either<A, B>(
  first: () => Promise<A>,
  second: () => Promise<B>,
  answerMs: number,
): Promise<A | B> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, refuse) => {
    timer = setTimeout(() => refuse(new Error('late')), answerMs);
  });
  try {
    return await Promise.race([first(), late]);
  } catch {
    return second();
  } finally {
    clearTimeout(timer);
  }
}

/** The library answers "allowed" when Redis is late: that answer is not taken. */
function inRedis(
  { redisUrl, redisToken, namespace }: Pick<Settings, 'redisUrl' | 'redisToken' | 'namespace'>,
  kind: string,
  most: number,
  answerMs: number,
): Counter {
  const limit = new Ratelimit({
    redis: new Redis({
      url: redisUrl,
      token: redisToken,
      enableAutoPipelining: false,
      enableTelemetry: false,
      retry: { retries: 0 },
      signal: () => AbortSignal.timeout(answerMs),
    }),
    limiter: Ratelimit.slidingWindow(most, WINDOW),
    prefix: `lapse:${namespace}:sign-in:${kind}`,
    timeout: 0,
    analytics: false,
    ephemeralCache: false,
  });
  return {
    left: async (who) => (await limit.getRemaining(who)).remaining,
    count: async (who) => void (await limit.limit(who)),
  };
}

function inMemory(most: number, nowMs: () => number): Counter {
  const failures = new Map<string, number[]>();
  const recent = (who: string) => (failures.get(who) ?? []).filter((at) => nowMs() - at < WINDOW_MS);
  return {
    left: async (who) => Math.max(0, most - recent(who).length),
    count: async (who) => {
      const kept = [...recent(who), nowMs()].slice(-most);
      failures.delete(who);
      failures.set(who, kept);
      // The one that failed longest ago makes room.
      if (failures.size > MOST_REMEMBERED) failures.delete(failures.keys().next().value!);
    },
  };
}

export const UNKNOWN_ADDRESS = 'unknown';

/** Vercel writes the address itself; anywhere else it is the caller's own claim, and all count as one. */
export function addressOf(request: Request, env: Readonly<Record<string, string | undefined>>): string {
  if (env.VERCEL !== '1') return UNKNOWN_ADDRESS;
  return request.headers.get('x-forwarded-for')?.split(',')[0]?.trim() || UNKNOWN_ADDRESS;
}
