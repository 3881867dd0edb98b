/**
 * The one walk through the pages of a dry run, and what they add up to: of the dry run itself, of the recount under an
 * approval, of an erasure before it is confirmed, of a plan, and of what a run looks at after its last approved row.
 */
import { DatabaseError } from '../../platform/errors';
import { addKept, type Kept, type KeptBelow, keptBelow, keptTotals } from '../../platform/outcome';
import type { Asking } from '../../platform/session';
import type { Sql } from '../../platform/sql';
import type { Policy } from '../../policies/contract';
import type { Leg, Position } from './leg';
import { type LeafLeg, onLeaves } from './partition';
import { NO_ROWS, type PreviewPage, pageOf, previewPage } from './preview';

/** A page is well under this even on a cold cache. */
export const PAGE = { statementMs: 15_000 };
/** A page that takes longer is asked again with half as many rows, down to this. */
const LEAST_ROWS = 50;

export class Found {
  /** Every leg was looked at to its end. */
  complete = false;
  picked = 0;
  expired = 0;
  bytes = 0;
  files = 0;
  readonly byRule: Record<string, { expired: number; bytes: number; files: number }> = {};
  readonly dependants: Record<string, number> = {};
  readonly detached: Record<string, number> = {};
  /** As the pages count them. */
  readonly stayed: Record<string, number> = {};
  rowsSha256 = NO_ROWS;
  /** Keys of the first rows that would go, and the oldest and newest of their clocks. */
  sample: readonly string[] = [];
  oldest: string | null = null;
  newest: string | null = null;

  get kept(): Kept {
    return keptTotals(this.stayed);
  }

  /** Of those, what a row below keeps. */
  get keptBelow(): KeptBelow {
    return keptBelow(this.stayed);
  }

  add(page: PreviewPage): void {
    this.picked += page.picked;
    this.rowsSha256 = page.rows_sha256;
    for (const [label, r] of Object.entries(page.by_rule)) {
      const sum = this.byRule[label] ?? { expired: 0, bytes: 0, files: 0 };
      this.byRule[label] = {
        expired: sum.expired + r.expired,
        bytes: sum.bytes + r.bytes,
        files: sum.files + r.files,
      };
      this.expired += r.expired;
      this.bytes += r.bytes;
      this.files += r.files;
    }
    for (const [table, n] of Object.entries(page.dependants)) {
      this.dependants[table] = (this.dependants[table] ?? 0) + n;
    }
    for (const [table, n] of Object.entries(page.detached)) {
      this.detached[table] = (this.detached[table] ?? 0) + n;
    }
    addKept(this.stayed, page.kept);
    if (this.sample.length === 0) this.sample = page.sample;
    if (page.oldest && (!this.oldest || page.oldest < this.oldest)) this.oldest = page.oldest;
    if (page.newest && (!this.newest || page.newest > this.newest)) this.newest = page.newest;
  }
}

export interface Looking {
  readonly policy: Policy;
  /** Of a partitioned table each is walked partition by partition; one that is on a partition already, there. */
  readonly legs: readonly Leg[];
  readonly asOf: string;
  /** Where a leg begins; at its first row unless given. */
  readonly from?: (leg: Leg) => Position | null;
  /** Only rows `t` for which this condition is true. */
  readonly only?: Sql | undefined;
  /** READ ONLY. */
  readonly reading: Asking;
  /** Asked before each page. */
  inTime(): boolean;
}

export interface SeenPage extends LeafLeg {
  readonly page: PreviewPage;
}

/** Adds every page to `found`, returning each. Ends early when the time is up; `found.complete` says that it did not. */
export async function* previewPages(look: Looking, found: Found): AsyncGenerator<SeenPage> {
  const isSplit = look.legs.some((leg) => leg.leaf);
  const leaves = isSplit
    ? look.legs.map((leg) => ({ leg, partition: null }))
    : await onLeaves(look.policy, look.legs, look.reading);
  for (const { leg, partition } of leaves) {
    let isDone = false;
    for await (const page of pagesOf(look, leg, found)) {
      isDone = page.after.ended;
      yield { leg, partition, page };
    }
    if (!isDone) return;
  }
  found.complete = true;
}

/** All that would go, and all that would stay. */
export async function count(look: Looking, found = new Found()): Promise<Found> {
  for await (const _ of previewPages(look, found));
  return found;
}

/** The pages of one leg; without its last one when the time is up. */
async function* pagesOf(look: Looking, leg: Leg, found: Found): AsyncGenerator<PreviewPage> {
  let position: Position | null = look.from?.(leg) ?? null;
  let limit = pageOf(look.policy);
  while (look.inTime()) {
    const { only } = look;
    const { rowsSha256 } = found;
    const asking = previewPage(look.policy, leg, position, look.asOf, {
      limit,
      rowsSha256,
      only,
      legs: look.legs,
    });
    let page: PreviewPage;
    try {
      page = await look.reading.askOne(asking, PAGE);
    } catch (error) {
      const tooMuch = error instanceof DatabaseError && error.failure === 'timeout' && limit > LEAST_ROWS;
      if (!tooMuch) throw error;
      limit = Math.max(LEAST_ROWS, Math.floor(limit / 2));
      continue;
    }
    found.add(page);
    yield page;
    const { ended, ...after } = page.after;
    if (ended) return;
    position = after;
  }
}
