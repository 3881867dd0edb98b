/**
 * The one way to Upstash Redis, with the client's traps switched off: no automatic pipelining (it reorders),
 * no retry (it repeats what is not idempotent), a fresh time limit per call (a static signal fabricates
 * answers), no automatic deserialization (it turns numeric strings into numbers). PLATFORM §C2.
 */
import { Redis } from '@upstash/redis';
import { RedisError } from './errors';

/** A command's answer well inside a batch's time. */
const TIMEOUT_MS = 2_000;

/** All that a run needs: whatever it reads or changes is one script. */
export interface RedisScripts {
  /** Runs a Lua script: one command, atomic. Throws RedisError. */
  eval(script: string, keys: readonly string[], args: readonly string[]): Promise<unknown>;
  /** Every key of this installation starts with this. */
  readonly prefix: string;
}

export interface RedisClient extends RedisScripts {
  get(key: string): Promise<string | null>;
  mget(keys: readonly string[]): Promise<(string | null)[]>;
}

export function connectRedis(url: string, token: string, namespace: string): RedisClient {
  const redis = new Redis({
    url,
    token,
    enableAutoPipelining: false,
    automaticDeserialization: false,
    enableTelemetry: false,
    retry: { retries: 0 },
    signal: () => AbortSignal.timeout(TIMEOUT_MS),
  });
  return {
    prefix: `lapse:${namespace}:`,
    eval: (script, keys, args) => mapped(() => redis.eval(script, [...keys], [...args])),
    get: (key) => mapped(() => redis.get<string>(key)),
    mget: (keys) => mapped(() => redis.mget<(string | null)[]>(...keys)),
  };
}

/** Counts the commands of one run. */
export function countedRedis(redis: RedisScripts): RedisScripts & { readonly commands: number } {
  let commands = 0;
  return {
    get commands() {
      return commands;
    },
    prefix: redis.prefix,
    eval: (...a) => {
      commands += 1;
      return redis.eval(...a);
    },
  };
}

async function mapped<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    // The client's messages repeat the command with its values: only the class of the failure leaves here.
    const name = error instanceof Error ? error.name : typeof error;
    throw new RedisError(
      `Upstash Redis did not answer as expected (${name}); check UPSTASH_REDIS_REST_URL and its token`,
    );
  }
}
