/** The outside world as every house above needs it: clients, clock and log, created once per instance and passed in. */
import type { Logger } from 'pino';
import type { Blob } from './blob';
import type { Database } from './database';
import type { RedisClient } from './redis';
import type { Settings } from './settings';

/** Waiting between attempts, in p-retry's terms. */
export interface Backoff {
  readonly retries: number;
  readonly minTimeout: number;
  readonly maxTimeout: number;
  readonly factor: number;
  readonly randomize: boolean;
}

export interface Context {
  readonly settings: Settings;
  readonly database: Database;
  readonly redis: RedisClient;
  /** Undefined without a token: a policy whose rows name files refuses to delete then. */
  readonly blob: Blob | undefined;
  readonly clock: () => Date;
  readonly log: Logger;
  readonly backoff: Backoff;
}
