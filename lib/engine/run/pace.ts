/**
 * How many rows the next batch takes (R1): steers toward a target time of the deleting statement at the server
 * (a slow network makes no batch smaller), halves when the database says it was too much, yields while others
 * wait for locks, and recovers by itself. Time is the bound; the rows are only bounded by what a receipt may hold.
 */

/** Below this a batch is all overhead. A limit or a poisoned row may still ask for fewer. */
export const FLOOR = 50;

/** What bounds a batch from above. */
export interface Bounds {
  /** Of the deleting statement at the server. */
  readonly targetMs: number;
  readonly mostRows: number;
}
/**
 * With the look behind it, its commit, and half as much again in a bad moment, no lock is held for 150 ms. A receipt of so
 * many keys is 0.8 MB of uuids or 1.6 MB of text, far from the 10 MB a request may hold.
 */
export const ALONE: Bounds = { targetMs: 80, mostRows: 40_000 };
/** While others write: their commits wait behind ours, for the disk as well as for locks. So many rows are 0.7 MB of log. */
export const IN_COMPANY: Bounds = { targetMs: 15, mostRows: 2_000 };

/** One step up at most: a fast batch on a warm cache says little about the next. */
const MOST_GROWTH = 2;

/**
 * How much larger the next batch may be than one that took `tookMs`. Upwards by the square root of what there is room
 * for, so that even a step that was too large stays under the target; downwards at once.
 */
export function growth(tookMs: number, targetMs: number, most: number): number {
  const room = targetMs / Math.max(1, tookMs);
  return room > 1 ? Math.min(most, Math.sqrt(room)) : room;
}

export interface Pace {
  /** Rows for the next batch. */
  next(within: Bounds): number;
  /** A full batch of so many rows, maybe fewer than were offered, took this long at the server. */
  took(rows: number, milliseconds: number, within: Bounds): void;
  /** It timed out or waited for a lock. */
  tooMuch(): void;
  /** A session waits for a lock of ours, or many are at work: hold fewer for a shorter time, but continue. */
  giveWay(): void;
}

/** `fixed`: the caller asked for exactly this size (R14). */
export function startPace(start: number, fixed = false): Pace {
  const floor = Math.min(FLOOR, start);
  let size = start;
  return {
    next({ mostRows }) {
      if (!fixed) size = Math.min(size, mostRows);
      return size;
    },
    took(rows, milliseconds, { targetMs, mostRows }) {
      if (fixed) return;
      // Of two lanes one may have given way while the batch of the other was under way.
      const wanted = Math.round(Math.min(rows, size) * growth(milliseconds, targetMs, MOST_GROWTH));
      size = Math.min(mostRows, Math.max(floor, wanted));
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
