/** Sends the batches of one run: what they have in common, their numbers, and what each adds to the tally. */
import { DatabaseError } from '../../platform/errors';
import { archived } from '../archive';
import { mostArchived } from '../archive/walk';
import { type Advice, afterFailure } from '../guard/poison';
import type { BatchRequest, BatchResult } from '../statement/batch';
import { onLeaf } from '../statement/leaf-by-leaf';
import type { Leg } from '../statement/leg';
import { type DropRequest, type DropResult, drop } from '../statement/partition';
import type { Run } from './execution';
import { Fitness } from './fitness';
import { Sequence } from './seqs';
import { settle, settleAs } from './settle';
import type { Work } from './work';

/** What a batch walks: so many rows from a position, or some blocks. */
type Part = Pick<BatchRequest, 'position' | 'limit' | 'most' | 'blocks' | 'rowsOfEach' | 'byRange'>;
/** A partition, and the most rows it may have. */
type Whole = Pick<DropRequest, 'leg' | 'partition' | 'most' | 'statementTimeoutMs'>;

export class Batches {
  readonly #fitness: Fitness;
  readonly #seqs = new Sequence();
  /** What was sent for a batch, with its archive. */
  readonly #sent = new WeakMap<BatchRequest, BatchRequest>();

  constructor(
    private readonly run: Run,
    private readonly work: Work,
  ) {
    const { policy, checks } = work;
    this.#fitness = new Fitness({
      services: run.services,
      startedAt: run.startedAt,
      reading: run.session.reading,
      policy,
      checks,
    });
  }

  /** Throws PreflightError when the database is not fit any more; looks every few seconds. */
  stillFit(): Promise<void> {
    return this.#fitness.look();
  }

  /** The next batch, with a number of its own. */
  next(leg: Leg, asOf: string, part: Part): BatchRequest {
    const asksForPressure = this.run.neighbors.isDue;
    const limit = Math.min(part.limit, mostArchived(this.work.policy));
    return {
      ...this.#common(asOf),
      policy: onLeaf(this.work.policy, leg),
      leg,
      asksForPressure,
      ...part,
      limit,
    };
  }

  /** Sends it until it is known what became of it. Throws DatabaseError when it did not commit; its number is then its own until `after` or `over`. */
  async send(request: BatchRequest): Promise<BatchResult> {
    const { session, services, neighbors, tally, deadline } = this.run;
    try {
      const sent = await this.#archived(request);
      const began = performance.now();
      const result = await settle(session.database, sent, services.backoff, () => deadline.hasTime());
      neighbors.after(result, performance.now() - began);
      if (result.deleted + result.dependants_deleted === 0) this.#seqs.giveBack(request.seq);
      tally.add(result);
      return result;
    } catch (error) {
      neighbors.wrote();
      await this.#fitness.lookAfter(error);
      throw error;
    }
  }

  /** What to do about a batch that failed; `no`: the error stands. Under its number, which no other lane has until then. */
  async after(error: unknown, request: BatchRequest): Promise<Advice> {
    const sent = this.#sent.get(request) ?? request;
    try {
      return await afterFailure(this.run.session, sent, error, this.run.log);
    } finally {
      this.over(error, request);
    }
  }

  /** Nothing more is done about a batch that failed: another may have its number, unless its receipt may still appear. */
  over(error: unknown, { seq }: BatchRequest): void {
    if (!(error instanceof DatabaseError && error.failure === 'unknown')) this.#seqs.giveBack(seq);
  }

  /** With its archive, where the policy archives before it deletes. */
  async #archived(request: BatchRequest): Promise<BatchRequest> {
    const { services, session, log } = this.run;
    const { blob, backoff, clock } = services;
    // Without a store the preflight has refused the policy.
    if (blob === undefined) return request;
    const of = { store: { blob, backoff }, asking: session, reading: session.reading, clock, log };
    const sent = await archived(of, request);
    this.#sent.set(request, sent);
    return sent;
  }

  /** The next drop of a whole partition. */
  nextDrop(asOf: string, whole: Whole): DropRequest {
    return { ...this.#common(asOf), policy: this.work.policy, ...whole };
  }

  /** Drops it, or says what keeps it. */
  async drop(request: DropRequest): Promise<DropResult> {
    const { session, services, tally, deadline } = this.run;
    const inTime = () => deadline.hasTime();
    try {
      const result = await settleAs(session.database, request, drop(request), services.backoff, inTime);
      if (result.obstacle === null) tally.add({ ...result, batches: 1 });
      else this.#seqs.giveBack(request.seq);
      return result;
    } catch (error) {
      if (isPassing(error)) this.#seqs.giveBack(request.seq);
      throw error;
    }
  }

  #common(asOf: string) {
    const { id: runId, version, request, deadline } = this.run;
    return {
      version,
      runId,
      fence: this.work.fence,
      seq: this.#seqs.take(),
      asOf,
      actor: request.actor,
      reason: this.run.reason,
      statementTimeoutMs: deadline.statementMs(),
    };
  }
}

/** Another session was in the way, or it takes too long: nothing happened. */
export const isPassing = (error: unknown): error is DatabaseError =>
  error instanceof DatabaseError && ['busy', 'timeout'].includes(error.failure);
