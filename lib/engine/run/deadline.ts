/** How much time a run has: work ends early enough for the proof, the final record and releasing the lease. */
import { STATEMENT_TIMEOUT_MS } from '../../platform/session';

/** Time reserved for the proof, the final record and releasing the lease. */
const MOST_CLOSING_MS = 1_500;
/** At most this share of the budget, so that a short run still gets work done. */
const CLOSING_SHARE = 0.25;
/** Less is not enough for any statement. */
const LEAST_STATEMENT_MS = 500;

export class Deadline {
  readonly startedAt: Date;
  readonly #closingMs: number;

  constructor(
    private readonly clock: () => Date,
    readonly at: Date,
  ) {
    this.startedAt = clock();
    const budgetMs = at.getTime() - this.startedAt.getTime();
    this.#closingMs = Math.min(MOST_CLOSING_MS, Math.floor(budgetMs * CLOSING_SHARE));
  }

  /** Milliseconds to the closing; negative when it has begun. */
  remaining(): number {
    return this.at.getTime() - this.clock().getTime() - this.#closingMs;
  }

  /** Whether this many milliseconds of work fit before the closing begins. */
  hasTime(ms = 0): boolean {
    return this.remaining() > ms;
  }

  /** What a statement may take, with `most` as its limit. */
  statementMs(most = STATEMENT_TIMEOUT_MS): number {
    return Math.min(most, Math.max(LEAST_STATEMENT_MS, this.remaining()));
  }

  /** From the start, never negative. */
  seconds(until: Date): number {
    return Math.max(0, until.getTime() - this.startedAt.getTime()) / 1000;
  }
}
