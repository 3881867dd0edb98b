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
  /** Runs and jobs, and every look at business rows: a login in lapse_app. */
  readonly database: Database;
  /** What a person decides: a login in lapse_operator. */
  readonly deciding: Database;
  /** Lapse's own tables, for readers: a login in lapse_reader. */
  readonly reading: Database;
  readonly redis: RedisClient;
  /** Undefined without a token: a policy whose rows name files refuses to delete then. */
  readonly blob: Blob | undefined;
  readonly clock: () => Date;
  readonly log: Logger;
  readonly backoff: Backoff;
}
