/** The ways of one run to PostgreSQL and Redis, counted: it asks again what may pass, while there is time. */
import pRetry from 'p-retry';
import type { Backoff, Context } from '../../platform/context';
import { counted, type Database } from '../../platform/database';
import { DatabaseError } from '../../platform/errors';
import type { Answers, Query } from '../../platform/query';
import { countedRedis, type RedisScripts } from '../../platform/redis';
import {
  type Asking,
  ask,
  askOne,
  type Limits,
  type Queries,
  readingOnly,
  STATEMENT_TIMEOUT_MS,
} from '../../platform/session';
import { type Acquired, acquire, type Cursor, leaseToken, release, save } from './checkpoint';
import type { Deadline } from './deadline';

/** A look at what is there. */
export const LOOK: Limits = { statementMs: STATEMENT_TIMEOUT_MS };

export class Session implements Asking {
  readonly database: Database & { readonly requests: number };
  readonly redis: RedisScripts & { readonly commands: number };
  /** The same in READ ONLY transactions. */
  readonly reading: Asking;
  readonly #backoff: Backoff;
  readonly #lease: string;

  constructor(
    context: Pick<Context, 'database' | 'redis' | 'backoff'>,
    private readonly policy: string,
    runId: string,
    private readonly deadline: Deadline,
  ) {
    this.database = counted(context.database);
    this.redis = countedRedis(context.redis);
    this.#backoff = context.backoff;
    this.#lease = leaseToken(runId);
    this.reading = readingOnly(this);
  }

  ask<const Q extends Queries>(queries: Q, limits: Limits): Promise<Answers<Q>> {
    return this.#patiently(() => ask(this.database, queries, limits));
  }

  askOne<T>(query: Query<T>, limits: Limits): Promise<T> {
    return this.#patiently(() => askOne(this.database, query, limits));
  }

  /** Takes the policy's lease, or renews it, and reads its cursor. */
  acquire(): Promise<Acquired> {
    return acquire(this.redis, this.policy, this.#lease);
  }

  /** The checkpoint, which renews the lease; without a cursor it only does that. False: the lease is lost. */
  async save(cursor: Cursor | null): Promise<boolean> {
    if (cursor === null) return (await this.acquire()).held;
    return save(this.redis, this.policy, this.#lease, cursor);
  }

  /** Releases the lease; a drained pass no longer needs its cursor. */
  release(isDrained: boolean): Promise<boolean> {
    return release(this.redis, this.policy, this.#lease, isDrained);
  }

  #patiently<T>(work: () => Promise<T>): Promise<T> {
    return pRetry(work, {
      ...this.#backoff,
      shouldRetry: ({ error }) => error instanceof DatabaseError && error.mayPass && this.deadline.hasTime(),
    });
  }
}
