/**
 * What a run makes of others at the same database: sessions that wait for a lock, crowd it, or write beside it, are made
 * room for by smaller batches and by rests between them (R1). A few batches a second bring news of them, by the run's
 * clock, and all lanes of the run share it; while something presses, each batch asks.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { PressureLimits } from '../../platform/settings';
import type { BatchResult } from '../statement/batch';
import type { Progress } from '../statement/pressure';
import { Company } from './company';
import type { Deadline } from './deadline';
import { Duty } from './duty';
import { ALONE, type Bounds, IN_COMPANY } from './pace';
import { pressedBy, restMs } from './pressure';

/** Asking costs the server about two milliseconds. */
const LOOK_MS = 250;

interface Of {
  readonly runId: string;
  readonly limits: PressureLimits;
  readonly deadline: Deadline;
  readonly log: Logger;
  readonly clock: () => Date;
}

export class Neighbors {
  readonly #company: Company;
  readonly #duty: Duty;
  #askedAtMs = Number.NEGATIVE_INFINITY;
  #isPressed = false;

  constructor(private readonly of: Of) {
    this.#company = new Company(of.runId);
    this.#duty = new Duty(of.limits.shareInCompany);
  }

  /** Whether the batch about to be sent asks. A clock that was set back asks, too. */
  get isDue(): boolean {
    const now = this.#now;
    const isDue = this.#isPressed || now < this.#askedAtMs || now - this.#askedAtMs >= LOOK_MS;
    if (isDue) this.#askedAtMs = now;
    return isDue;
  }

  /** How far the server had got `at` this time or, for the first, after it. */
  saw(progress: Progress, at: Date): void {
    this.#company.saw(progress, at.getTime());
  }

  /** A transaction of ours that may have written has ended without a receipt. */
  wrote(): void {
    this.#company.wrote();
  }

  /** A batch of ours has ended. */
  after({ deleted, pressure, statement_ms }: BatchResult, tookMs: number): void {
    if (deleted === 0) this.#company.wrote();
    if (pressure !== null) {
      this.#isPressed = pressedBy(pressure, this.of.limits) !== null;
      if (pressure.progress !== null) this.#company.saw(pressure.progress, this.#now);
    }
    if (!this.areWriting) this.#duty.pause();
    else if (!this.#isPressed && statement_ms !== null) {
      this.#duty.felt({ rows: deleted, statementMs: statement_ms, wallMs: tookMs }, this.#now);
    }
  }

  /** Whether others write, and room is to be made for them. */
  get areWriting(): boolean {
    return this.#company.isHere && this.of.limits.shareInCompany < 1;
  }

  /** Whether they may be: one lane and short batches until that is known. */
  get mayBeWriting(): boolean {
    return this.#company.mayBeHere && this.of.limits.shareInCompany < 1;
  }

  /** What bounds the next batch. */
  get bounds(): Bounds {
    return this.mayBeWriting ? IN_COMPANY : ALONE;
  }

  /** Why others need the database more; null when none does, or the batch did not ask. */
  pressBy({ pressure }: BatchResult): ReturnType<typeof pressedBy> {
    return pressure === null ? null : pressedBy(pressure, this.of.limits);
  }

  /** Leaves the database to others for a while, but never for the rest of the run's time. */
  async restAfter(result: BatchResult, tookMs: number): Promise<void> {
    const by = this.pressBy(result) ?? (this.areWriting ? 'company' : null);
    // Runs of ours at the same time leave the others as much as one alone would.
    const share = this.#duty.share / this.#company.runs;
    const ms = Math.min(restMs(by, tookMs, share), this.of.deadline.remaining());
    if (ms <= 0) return;
    this.of.log.debug(
      { event: 'run.rested', by, share, duration_seconds: ms / 1000 },
      'others need the database more',
    );
    await sleep(ms);
  }

  get #now(): number {
    return this.of.clock().getTime();
  }
}
