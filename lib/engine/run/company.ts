/**
 * Whether others are writing while we delete (R1). Alone, a batch may take TARGET_MS and lanes run side by side;
 * in company one lane sends short batches, so that no commit waits long behind ours. Told by the
 * transaction numbers the server gave out: each batch sees how far they got, and knows which of them were its own.
 */

/** Others' writing transactions a second; a cron here and there is no company. */
const COMPANY_PER_SECOND = 8;
/** One more or less may be a batch that is just ending. */
const LEAST_SEEN = 2;
/** Looked at over at least this long, */
const WINDOW_MS = 250;
/** except for the first time: the run is about to go at full speed. */
const FIRST_WINDOW_MS = 20;

export class Company {
  #since: { readonly number: number; readonly atMs: number } | null = null;
  #own = 0;
  #isHere = false;
  #hasJudged = false;

  get isHere(): boolean {
    return this.#isHere;
  }

  /** A transaction of ours that wrote has ended. */
  wrote(): void {
    this.#own += 1;
  }

  /** `number`: the first transaction number not given out yet, as the server saw it at `atMs` or, for the first, after it. */
  saw(number: number | null, atMs: number): void {
    if (number === null) return;
    if (this.#since === null) {
      this.#since = { number, atMs };
      this.#own = 0;
      return;
    }
    const ms = atMs - this.#since.atMs;
    if (ms < (this.#hasJudged ? WINDOW_MS : FIRST_WINDOW_MS)) return;
    this.#hasJudged = true;
    const others = number - this.#since.number - this.#own;
    this.#isHere = others >= LEAST_SEEN && others / (ms / 1000) >= COMPANY_PER_SECOND;
    this.#since = { number, atMs };
    this.#own = 0;
  }
}
