/**
 * The preflight again while a run lasts: a foreign key, trigger or column added meanwhile is noticed within seconds and
 * named, instead of by a batch that fails. What a batch could lose before that, its own counts roll back.
 */

import { DatabaseError, PreflightError } from '../../platform/errors';
import type { Asking } from '../../platform/session';
import { permanentTables } from '../../policies';
import type { Policy } from '../../policies/contract';
import type { Services } from '../../services';
import { type Check, catalogFacts, judgeFacts } from '../statement/preflight';
import { BEGIN } from './record';

/** The look takes some ten milliseconds: a thousandth of the run. */
const LOOK_AGAIN_MS = 10_000;

/** What this needs of its run. */
interface Observed {
  readonly startedAt: Date;
  readonly policy: Policy;
  /** All of the preflight's unless given. */
  readonly checks?: readonly Check[] | undefined;
  readonly services: Pick<Services, 'clock'>;
  /** READ ONLY. */
  readonly reading: Asking;
}

export class Fitness {
  #lookedAt: number;

  constructor(private readonly run: Observed) {
    this.#lookedAt = run.startedAt.getTime();
  }

  /** Before a batch. Throws PreflightError when the database is not fit any more. */
  async look(): Promise<void> {
    const now = this.run.services.clock().getTime();
    if (now - this.#lookedAt < LOOK_AGAIN_MS) return;
    this.#lookedAt = now;
    const { policy, checks } = this.run;
    const facts = await this.run.reading.askOne(catalogFacts(policy), BEGIN);
    const problems = judgeFacts(policy, facts, permanentTables, checks);
    if (problems.length > 0) throw new PreflightError(policy.name, problems);
  }

  /** After a batch that failed, before any of its rows is blamed. */
  async lookAfter(error: unknown): Promise<void> {
    if (!(error instanceof DatabaseError) || !['poisoned', 'fatal'].includes(error.failure)) return;
    this.#lookedAt = Number.NEGATIVE_INFINITY;
    await this.look();
  }
}
