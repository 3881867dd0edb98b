/**
 * Walks the blocks of a table in lanes. Each lane takes the next range, so none waits for a slow one; what the
 * cursor saves is the first block not yet known to be done, so a resumed walk repeats at most the ranges that
 * were under way, and a repeated range deletes nothing twice. Where nothing goes (a table grows at its end, and its
 * young rows lie there) it looks ahead for the next row that may, which is several times faster than a batch of none.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import type { BatchResult } from '../statement/batch';
import type { Blocks } from '../statement/heap';
import { inLanes } from './lanes';
import { type Bounds, growth } from './pace';
import { type Range, Ranges } from './ranges';

/** About 8,000 rows of a hundred bytes each: a first batch well under the target time. */
const FIRST_BLOCKS = 128;
/** About 500 rows of a hundred bytes: below this a batch is all overhead. */
const LEAST_BLOCKS = 8;
/** 6 MB of table a batch: with two lanes on two cores its locks are held for about 80 ms. */
const MOST_BLOCKS = 768;
/** 32 MB of table a look: some tens of milliseconds. */
const LOOK_BLOCKS = 4_096;
const MOST_GROWTH = 4;
/** How often a lane that makes room looks whether the others have gone. */
const COMPANY_LOOK_MS = 100;

export interface HeapWalkRequest {
  readonly from: number;
  readonly end: number;
  readonly lanes: number;
  /** Sends one batch and waits until it is known what became of it. */
  send(blocks: Blocks): Promise<BatchResult>;
  /** The first block of these with a row that may go; null when there is none. */
  firstDue(range: Range): Promise<number | null>;
  /** Why to stop before the next batch of about this many milliseconds; null to continue. */
  stopBefore(slowestMs: number): string | null;
  /** Whether others need the database more: the next batch is smaller. */
  isPressed(result: BatchResult): boolean;
  /** Others write: one lane works at a time. */
  isInCompany(): boolean;
  /** What bounds the next batch. */
  bounds(): Bounds;
  /**
   * After each batch: its result, null for a look ahead, and the first block not known to be done. False: stop,
   * the lease is lost.
   */
  done(result: BatchResult | null, low: number, tookMs: number): Promise<boolean>;
}

interface Worked {
  /** Null when the range was only looked at. */
  readonly result: BatchResult | null;
  /** Nothing in it may go. */
  readonly isBarren: boolean;
}

/** Returns null at the end of the table, or why it stopped before: `lease`, or what `stopBefore` said. */
export const walkHeap = (request: HeapWalkRequest): Promise<string | null> => new HeapWalk(request).toEnd();

class HeapWalk {
  readonly #ranges: Ranges;
  /** Blocks for the next batch. */
  #size = FIRST_BLOCKS;
  #slowestMs = 0;
  /** Lanes that have a range. */
  #atWork = 0;
  #stopped: string | null = null;

  constructor(private readonly request: HeapWalkRequest) {
    this.#ranges = new Ranges(request.from, request.end);
  }

  async toEnd(): Promise<string | null> {
    await inLanes(this.request.lanes, () => this.#lane());
    return this.#stopped;
  }

  /** Range after range, until there is none or a reason to stop. */
  async #lane(): Promise<void> {
    let isBarren = false;
    while (this.#stopped === null && !this.#ranges.areOut) {
      // One lane at a time then, whichever: the others may have come to their end.
      if (this.#atWork > 0 && this.request.isInCompany()) {
        await sleep(COMPANY_LOOK_MS);
        continue;
      }
      this.#stopped ??= this.request.stopBefore(this.#slowestMs);
      if (this.#stopped !== null) return;
      isBarren = await this.#next(isBarren);
    }
  }

  /** The next range and its checkpoint: deletes what may go, or only looks for it. Returns whether nothing in it may go. */
  async #next(isBarren: boolean): Promise<boolean> {
    const range = this.#ranges.take(isBarren ? LOOK_BLOCKS : this.#size);
    this.#atWork += 1;
    const began = performance.now();
    const worked = await (isBarren ? this.#lookAhead(range) : this.#remove(range)).catch((error: unknown) => {
      this.#stopped ??= 'error';
      throw error;
    });
    const tookMs = performance.now() - began;
    this.#slowestMs = Math.max(this.#slowestMs, tookMs);
    if (!(await this.request.done(worked.result, this.#ranges.low, tookMs))) this.#stopped ??= 'lease';
    this.#atWork -= 1;
    return worked.isBarren;
  }

  async #lookAhead(range: Range): Promise<Worked> {
    const due = await this.request.firstDue(range);
    this.#ranges.done(range, due ?? range.to);
    return { result: null, isBarren: due === null };
  }

  async #remove(range: Range): Promise<Worked> {
    const began = performance.now();
    const { from, to } = range;
    const result = await this.request.send({ from, to, end: this.request.end, skipLocked: false });
    this.#ranges.done(range);
    const last = {
      blocks: range.to - range.from,
      rows: result.deleted,
      tookMs: result.statement_ms ?? performance.now() - began,
      ...this.request.bounds(),
    };
    this.#size = this.request.isPressed(result) ? yielded(this.#size) : steer(this.#size, last);
    return { result, isBarren: result.deleted === 0 };
  }
}

export interface LookRequest {
  /** The table's blocks when the walk began; what was added since belongs to the last look. */
  readonly end: number;
  readonly lanes: number;
  isInCompany(): boolean;
  look(blocks: { from: number; to: number | null }): Promise<void>;
  /** Whether to stop before the next look. */
  outOfTime(): boolean;
}

/** Looks at every block once. Returns false when there was no time for all of them. */
export async function lookThrough(request: LookRequest): Promise<boolean> {
  let from = 0;
  let isDone = false;
  const lane = async (first: boolean): Promise<void> => {
    while (!isDone && !request.outOfTime()) {
      if (!first && request.isInCompany()) return;
      const to = from + LOOK_BLOCKS < request.end ? from + LOOK_BLOCKS : null;
      isDone = to === null;
      const blocks = { from, to };
      from += LOOK_BLOCKS;
      await request.look(blocks);
    }
  };
  await inLanes(request.lanes, lane);
  return isDone;
}

/** While others wait for locks: half, down to what is still worth its round trip. */
const yielded = (size: number): number => Math.max(Math.min(LEAST_BLOCKS, size), Math.floor(size / 2));

/** Blocks for the next batch: toward the target time, and not over the rows a receipt should hold. */
function steer(size: number, last: Bounds & { blocks: number; rows: number; tookMs: number }): number {
  const byTime = growth(last.tookMs, last.targetMs, MOST_GROWTH);
  const byRows = last.mostRows / Math.max(1, last.rows);
  const wanted = Math.min(Math.min(last.blocks, size) * Math.min(byTime, byRows), size * MOST_GROWTH);
  return Math.max(LEAST_BLOCKS, Math.min(MOST_BLOCKS, Math.round(wanted)));
}
