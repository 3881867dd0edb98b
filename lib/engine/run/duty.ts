/**
 * Which share of the time a run works while others write (R1): steered by what can be felt of them. Each second the
 * microseconds a row and the time of the commit are held against the best seconds of this run: both below one and a half
 * times those, and the share grows; one of them above in two seconds running, and it shrinks at once by two fifths. Nothing
 * is asked of the server for it: our own batches slow down with everybody else's.
 */

/** A run begins here: in no setting measured from 0.2 to 0.8 was the others' slowest percent slower than in another. */
const START = 0.5;
/** Never less, so that a database that is always slow is still cleaned; a lower setting counts. */
const LEAST = 0.2;
const STEP_UP = 0.1;
const STEP_DOWN = 0.6;
/**
 * What a batch costs whatever its size, in rows: about 4.5 ms where a row costs 8 µs. Without it smaller batches would look
 * like slower ones, and whoever made them smaller would make them rarer as well.
 */
const BATCH_AS_ROWS = 500;
/** Below this the difference of two seconds says nothing. */
const FELT = 1.5;
const WINDOW_MS = 1_000;
/** The middle one of fewer may be the one that met a checkpoint. */
const LEAST_BATCHES = 3;

/** One batch, as it went. */
export interface Felt {
  readonly rows: number;
  /** Deciding and deleting, at the server. */
  readonly statementMs: number;
  /** From sending to the answer. */
  readonly wallMs: number;
}

interface Feeling {
  readonly microsecondsARow: number;
  readonly commitMs: number;
}

export class Duty {
  #share: number;
  #batches: Feeling[] = [];
  #sinceMs: number | null = null;
  #best: Feeling | null = null;
  #isSlow = false;

  /** `most`: the share it never exceeds. */
  constructor(private readonly most: number) {
    this.#share = Math.min(START, most);
  }

  get share(): number {
    return this.#share;
  }

  /** A batch sent in company has gone; one without rows says nothing. */
  felt({ rows, statementMs, wallMs }: Felt, atMs: number): void {
    if (rows === 0) return;
    this.#sinceMs ??= atMs;
    this.#batches.push({
      microsecondsARow: (statementMs * 1000) / (rows + BATCH_AS_ROWS),
      commitMs: Math.max(0, wallMs - statementMs),
    });
    if (atMs - this.#sinceMs < WINDOW_MS || this.#batches.length < LEAST_BATCHES) return;
    this.#judge({
      microsecondsARow: middle(this.#batches.map((b) => b.microsecondsARow)),
      commitMs: middle(this.#batches.map((b) => b.commitMs)),
    });
    this.pause();
  }

  /** What was felt so far belongs to another time: the others have gone. */
  pause(): void {
    this.#batches = [];
    this.#sinceMs = null;
  }

  #judge(now: Feeling): void {
    const best = this.#best ?? now;
    const isSlow = now.microsecondsARow > best.microsecondsARow * FELT || now.commitMs > best.commitMs * FELT;
    if (!isSlow) this.#share = Math.min(this.most, this.#share + STEP_UP);
    else if (this.#isSlow) this.#share = Math.max(Math.min(LEAST, this.most), this.#share * STEP_DOWN);
    // Two seconds running, each time: what a step down does shows in the second after it.
    this.#isSlow = isSlow && !this.#isSlow;
    this.#best = {
      microsecondsARow: Math.min(best.microsecondsARow, now.microsecondsARow),
      commitMs: Math.min(best.commitMs, now.commitMs),
    };
  }
}

function middle(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;
}
