/**
 * What a run makes of others at the same database: sessions that wait for a lock, crowd it, or write beside it, are made
 * room for by smaller batches and by rests between them (R1).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { PressureLimits } from '../../platform/settings';
import type { BatchResult } from '../statement/batch';
import { Company } from './company';
import type { Deadline } from './deadline';
import { pressedBy, restMs } from './pressure';

export class Neighbors {
  readonly #company = new Company();

  constructor(
    private readonly limits: PressureLimits,
    private readonly deadline: Deadline,
    private readonly log: Logger,
  ) {}

  /** First transaction number not given out yet, as the server saw it at `atMs`, or for the first time after it. */
  saw(next: number | null, atMs: number): void {
    this.#company.saw(next, atMs);
  }

  /** A transaction of ours that wrote has ended. */
  wrote(): void {
    this.#company.wrote();
  }

  /** Whether others write, and room is to be made for them. */
  get areWriting(): boolean {
    return this.#company.isHere && this.limits.shareInCompany < 1;
  }

  /** Why others need the database more; null when none does. */
  pressBy(result: BatchResult): ReturnType<typeof pressedBy> {
    return pressedBy(result.pressure, this.limits);
  }

  /** Leaves the database to others for a while, but never for the rest of the run's time. */
  async restAfter(result: BatchResult, tookMs: number): Promise<void> {
    const by = this.pressBy(result) ?? (this.areWriting ? 'company' : null);
    const ms = Math.min(restMs(by, tookMs, this.limits), this.deadline.remaining());
    if (ms <= 0) return;
    this.log.debug({ event: 'run.rested', by, duration_seconds: ms / 1000 }, 'others need the database more');
    await sleep(ms);
  }
}
