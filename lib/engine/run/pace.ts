/**
 * How many rows the next batch takes (R1): steers toward a target time of the deleting statement at the server
 * (a slow network makes no batch smaller), halves when the database says it was too much, yields while others
 * wait for locks, and recovers by itself.
 */

/** Below this a batch is all overhead. A limit or a poisoned row may still ask for fewer. */
export const FLOOR = 50;
/** A batch of 10,000 keys is a receipt of about 400 kB, well under every limit on the way. */
export const CEILING = 10_000;
/** Long enough to be worth its round trip, short enough that no session waits noticeably for its locks. */
export const TARGET_MS = 100;
/** While others write: their commits wait behind ours, for the disk as well as for locks. */
export const TARGET_IN_COMPANY_MS = 10;
/** One step up at most: a fast batch on a warm cache says little about the next. */
const MOST_GROWTH = 1.5;

export interface Pace {
  /** Rows for the next batch. */
  readonly size: number;
  /** A full batch took this long at the server; the next should take `targetMs`. */
  took(milliseconds: number, targetMs?: number): void;
  /** It timed out or waited for a lock. */
  tooMuch(): void;
  /** A session waits for a lock, perhaps one of ours: hold fewer for a shorter time, but continue. */
  giveWay(): void;
}

/** `fixed`: the caller asked for exactly this size (R14). */
export function startPace(start: number, fixed = false): Pace {
  let size = start;
  return {
    get size() {
      return size;
    },
    took(milliseconds, targetMs = TARGET_MS) {
      if (fixed) return;
      const factor = Math.min(MOST_GROWTH, targetMs / Math.max(1, milliseconds));
      size = Math.round(Math.min(CEILING, Math.max(Math.min(FLOOR, start), size * factor)));
    },
    tooMuch() {
      size = Math.max(1, Math.floor(size / 2));
    },
    giveWay() {
      if (fixed) return;
      size = Math.max(Math.min(FLOOR, size), Math.floor(size / 2));
    },
  };
}
