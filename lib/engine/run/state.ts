/** What the parts of one run share: who it is, what it may use, and what it has done so far. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import pRetry from 'p-retry';
import type { Logger } from 'pino';
import { counted, type Database } from '../../platform/database';
import { DatabaseError } from '../../platform/errors';
import type { Ending } from '../../platform/outcome';
import { type Kept, noneKept } from '../../platform/outcome';
import { countedRedis, type RedisClient } from '../../platform/redis';
import { type Asking, ask, askOne, readingOnly, STATEMENT_TIMEOUT_MS } from '../../platform/session';
import { table } from '../../platform/sql';
import type { Policy } from '../../policies/contract';
import { versionOf } from '../../policies/fingerprint';
import type { Services } from '../../services';
import type { BatchOrder, BatchResult } from '../statement/batch';
import { DUE_CAP } from '../statement/drained';
import type { Found } from '../statement/found';
import type { Leg } from '../statement/leg';
import { onLeaf } from '../statement/partition';
import { type Cursor, leaseToken, save } from './checkpoint';
import { Company } from './company';
import { limited } from './endings';
import { Fitness } from './fitness';
import { pressedBy, restMs } from './pressure';
import type { RunResult } from './result';
import { Sequence } from './seqs';

export interface RunRequest {
  readonly trigger: 'cron' | 'manual';
  readonly actor: string;
  readonly correlationId: string;
  /** Finished, with the answer sent, by then. */
  readonly deadline: Date;
  readonly dryRun: boolean;
  /** At most this many rows of the governed table. */
  readonly limit?: number;
  /** Exactly this batch size, instead of the adaptive one. */
  readonly batchSize?: number;
}

/** One walk through the legs: where it begins, and what is known of them. */
export interface Sweep {
  readonly pass: string;
  readonly asOf: string;
  readonly leg: number;
  readonly position: Cursor['position'];
  /** Whether a large backlog may go by the blocks of the table first. */
  readonly heap: boolean;
  /** Legs of which a look through all blocks found nothing that may go: no sweep, no further proof. */
  readonly proved: Set<Leg>;
}

/** Kept back for the proof, the end of the record and the release of the lease, */
const MOST_CLOSING_MS = 1_500;
/** but never so much of a small budget that nothing would ever get done. */
const CLOSING_SHARE = 0.25;

/** A look at what is there. */
export const LOOK = { statementMs: STATEMENT_TIMEOUT_MS };

export class RunState {
  readonly runId = randomUUID();
  readonly lease = leaseToken(this.runId);
  readonly version: string;
  readonly startedAt: Date;
  readonly closingMs: number;
  readonly database: Database & { readonly requests: number };
  readonly redis: RedisClient & { readonly commands: number };
  readonly log: Logger;
  readonly kept: Kept = noneKept();
  readonly seqs = new Sequence();
  readonly company = new Company();
  readonly fitness: Fitness;
  asOf: string;
  /** The policy with the periods that count now (G6). */
  effective: Policy;
  /** How many rows this run may delete; `ending` null: there are no more than these. */
  cap: { readonly rows: number; readonly ending: Ending | null };
  fence = '0';
  path: NonNullable<RunResult['path']> = 'index';
  batches = 0;
  picked = 0;
  deleted = 0;
  /** How many files more may wait in the outbox. */
  filesRoom = Number.POSITIVE_INFINITY;
  /** Rows before their cutoff as counted at the start, up to DUE_CAP + 1; null where that could not be counted. */
  total: number | null = null;

  /** `policy`: a dependant that is a partition is replaced by its table when the run begins. */
  constructor(
    readonly services: Services,
    public policy: Policy,
    readonly request: RunRequest,
  ) {
    this.version = versionOf(policy);
    this.effective = policy;
    this.cap = { rows: request.limit ?? Number.POSITIVE_INFINITY, ending: limited };
    this.startedAt = services.clock();
    this.asOf = this.startedAt.toISOString();
    this.fitness = new Fitness(this);
    const budgetMs = request.deadline.getTime() - this.startedAt.getTime();
    this.closingMs = Math.min(MOST_CLOSING_MS, Math.floor(budgetMs * CLOSING_SHARE));
    this.database = counted(services.database);
    this.redis = countedRedis(services.redis);
    this.log = services.log.child({
      correlation_id: request.correlationId,
      script: policy.name,
      run_id: this.runId,
    });
  }

  /** Asks again what may pass, while there is time. */
  readonly session: Asking = {
    ask: (queries, limits) => this.#patiently(() => ask(this.database, queries, limits)),
    askOne: (query, limits) => this.#patiently(() => askOne(this.database, query, limits)),
  };

  readonly reading = readingOnly(this.session);

  #patiently<T>(work: () => Promise<T>): Promise<T> {
    return pRetry(work, {
      ...this.services.backoff,
      shouldRetry: ({ error }) => error instanceof DatabaseError && error.mayPass && this.hasTime(),
    });
  }

  /** What every batch of this run has in common. */
  order(leg: Leg, asOf: string, seq: number): Omit<BatchOrder, 'position' | 'limit'> {
    return {
      policy: onLeaf(this.policy, leg),
      version: this.version,
      runId: this.runId,
      fence: this.fence,
      seq,
      leg,
      asOf,
      actor: this.request.actor,
      reason: 'retention',
      statementTimeoutMs: Math.min(STATEMENT_TIMEOUT_MS, Math.max(500, this.remaining() - this.closingMs)),
    };
  }

  /** Takes a batch into account. */
  count(result: BatchResult, seq: number): void {
    this.company.saw(result.pressure.next, performance.now());
    if (result.deleted > 0) this.company.wrote();
    if (result.deleted > 0) this.batches += 1;
    else this.seqs.giveBack(seq);
    this.picked += result.picked;
    this.deleted += result.deleted;
    this.filesRoom -= result.files;
    for (const [reason, n] of Object.entries(result.kept)) this.kept[reason as keyof Kept] += n ?? 0;
  }

  /** Takes into account what was only looked at. */
  keptToo({ picked, kept }: Found): void {
    this.picked += picked;
    for (const [reason, n] of Object.entries(kept)) this.kept[reason as keyof Kept] += n;
  }

  /** Whether others need the database more. */
  pressedBy(result: BatchResult) {
    return pressedBy(result.pressure, this.services.settings.pressure);
  }

  /** Whether others write, and room is to be made for them. */
  get isInCompany(): boolean {
    return this.company.isHere && this.services.settings.pressure.shareInCompany < 1;
  }

  /** Leaves the database to others for a while, but never for the rest of the run's time. */
  async rest(result: BatchResult, tookMs: number): Promise<void> {
    const by = this.pressedBy(result) ?? (this.isInCompany ? 'company' : null);
    const ms = Math.min(
      restMs(by, tookMs, this.services.settings.pressure),
      this.remaining() - this.closingMs,
    );
    if (ms <= 0) return;
    this.log.debug({ event: 'run.rested', by, duration_seconds: ms / 1000 }, 'others need the database more');
    await sleep(ms);
  }

  /** The checkpoint; false when the lease is lost. `walked`: the leg at `leg`, for partitions go on by name. */
  save(
    at: { pass: string; asOf: string },
    leg: number,
    position: Cursor['position'],
    walked?: Leg,
  ): Promise<boolean> {
    return save(this.redis, this.policy.name, this.lease, {
      ...(walked?.leaf ? { leaf: table(walked.leaf) } : {}),
      pass: at.pass,
      asOf: at.asOf,
      version: this.version,
      leg,
      position,
      runId: this.runId,
      processed: this.deleted,
      total: this.total !== null && this.total <= DUE_CAP ? this.total : null,
      updatedAt: this.services.clock().toISOString(),
      kept: this.kept,
    });
  }

  /** From the start, never negative. */
  seconds(until: Date): number {
    return Math.max(0, until.getTime() - this.startedAt.getTime()) / 1000;
  }

  /** Whether this many milliseconds of work fit before the closing begins. */
  hasTime(ms = 0): boolean {
    return this.remaining() > ms + this.closingMs;
  }

  /** Milliseconds to the deadline. */
  remaining(): number {
    return this.request.deadline.getTime() - this.services.clock().getTime();
  }

  /** For the log: how many there are. */
  totalText(): string {
    if (this.total === null) return '?';
    return this.total > DUE_CAP ? `${DUE_CAP}+` : String(this.total);
  }
}
