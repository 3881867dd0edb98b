/**
 * Whether others are writing while we delete (R1). Alone, a batch may take its full time and lanes run side by side;
 * in company one lane sends short batches and rests between them. Told by how many writing transactions ended at the
 * server between two looks, less those of our own runs, whose receipts are counted in the same snapshot: so two of our
 * runs at once do not take each other for company, whatever became of Redis. Two windows in a row decide, both ways: an
 * autovacuum or a cron here and there is no company, and a short silence does not end one. After the first of them
 * batches are short, but there is no rest.
 */
import type { Progress } from '../statement/pressure';

/** Others' writing transactions a second. */
const COMPANY_PER_SECOND = 8;
/** One in a short window says nothing. */
const LEAST_SEEN = 2;
/** Looked at over at least this long, */
const WINDOW_MS = 250;
/** except for the first time: the run is about to go at full speed. */
const FIRST_WINDOW_MS = 20;

export class Company {
  #since: { readonly seen: Progress; readonly atMs: number } | null = null;
  /** Transactions of ours since then that left no receipt. */
  #unreceipted = 0;
  #hasJudged = false;
  #sawOthers = false;
  #isHere = false;
  #runs = 1;

  /** `mine`: the run that looks. */
  constructor(private readonly mine: string) {}

  get isHere(): boolean {
    return this.#isHere;
  }

  /** Others write, or did in the last window: a run that goes at full speed meanwhile would be felt before it is sure. */
  get mayBeHere(): boolean {
    return this.#isHere || this.#sawOthers;
  }

  /** Runs of Lapse that deleted in the last window, this one included: they share what a run alone may take. */
  get runs(): number {
    return this.#runs;
  }

  /** A transaction of ours that may have written has ended without a receipt. */
  wrote(): void {
    this.#unreceipted += 1;
  }

  /** `atMs`: when the server saw this or, for the first, before it. */
  saw(seen: Progress, atMs: number): void {
    const since = this.#since;
    const ms = since === null ? 0 : atMs - since.atMs;
    if (since !== null && ms >= 0 && ms < (this.#hasJudged ? WINDOW_MS : FIRST_WINDOW_MS)) return;
    if (since !== null && ms > 0) this.#judge(since.seen, seen, ms);
    this.#since = { seen, atMs };
    this.#unreceipted = 0;
  }

  #judge(before: Progress, now: Progress, ms: number): void {
    const grown = Object.entries(now.runs).map(([run, n]) => ({ run, n: n - (before.runs[run] ?? 0) }));
    const ours = grown.reduce((sum, { n }) => sum + Math.max(0, n), 0) + this.#unreceipted;
    const others = now.ended - before.ended - ours;
    const seesOthers = others >= LEAST_SEEN && others / (ms / 1000) >= COMPANY_PER_SECOND;
    if (seesOthers === this.#sawOthers) this.#isHere = seesOthers;
    this.#sawOthers = seesOthers;
    this.#runs = 1 + grown.filter(({ run, n }) => n > 0 && run !== this.mine).length;
    this.#hasJudged = true;
  }
}
