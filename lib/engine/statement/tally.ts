/**
 * What the pages of a dry run add up to, and the walk through them: of the dry run itself, of the recount under an
 * approval, and of what a run looks at after its last approved row.
 */
import { DatabaseError } from '../../platform/errors';
import { type Kept, noneKept } from '../../platform/outcome';
import { oneRow, query } from '../../platform/query';
import type { Asking } from '../../platform/session';
import type { Policy } from '../../policies/contract';
import type { Leg, Position } from './leg';
import { NO_ROWS, PreviewPage, pageOf, previewPage } from './preview';

/** A page is well under this even on a cold cache. */
export const PAGE = { statementMs: 15_000 };
/** A page that takes longer is asked again with half as many rows, down to this. */
const LEAST_ROWS = 50;

export class Tally {
  picked = 0;
  expired = 0;
  bytes = 0;
  files = 0;
  readonly byRule: Record<string, { expired: number; bytes: number; files: number }> = {};
  readonly dependants: Record<string, number> = {};
  readonly kept: Kept = noneKept();
  rowsSha256 = NO_ROWS;

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
    for (const [why, n] of Object.entries(page.kept)) this.kept[why as keyof Kept] += n ?? 0;
  }
}

export interface Looking {
  readonly policy: Policy;
  readonly leg: Leg;
  readonly asOf: string;
  /** Where to begin; null: at the leg's first row. */
  readonly from?: Position | null;
  /** Only rows for which this fragment over `t` is true. */
  readonly only?: string | undefined;
  /** READ ONLY. */
  readonly reading: Asking;
  /** Asked before each page. */
  inTime(): boolean;
}

/** Adds the pages of one leg to `tally`, giving each. Ends early when the time is up: then the last page has not `ended`. */
export async function* pages(look: Looking, tally: Tally): AsyncGenerator<PreviewPage> {
  let position: Position | null = look.from ?? null;
  let limit = pageOf(look.policy);
  while (look.inTime()) {
    const statement = previewPage(look.policy, look.leg, position, look.asOf, {
      limit,
      rowsSha256: tally.rowsSha256,
      only: look.only,
    });
    let page: PreviewPage;
    try {
      page = await look.reading.askOne(query(statement, oneRow(PreviewPage)), PAGE);
    } catch (error) {
      const tooMuch = error instanceof DatabaseError && error.failure === 'timeout' && limit > LEAST_ROWS;
      if (!tooMuch) throw error;
      limit = Math.max(LEAST_ROWS, Math.floor(limit / 2));
      continue;
    }
    tally.add(page);
    yield page;
    const { ended, ...after } = page.after;
    if (ended) return;
    position = after;
  }
}
