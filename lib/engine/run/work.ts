/** What a run works with once it may delete: fixed before its first batch. */
import type { Ending } from '../../platform/outcome';
import type { Policy } from '../../policies/contract';
import { DUE_CAP } from '../statement/drained';
import type { Check } from '../statement/preflight';

export interface Work {
  /** What is deleted from; its periods count no more, for the legs have their cutoffs. */
  readonly policy: Policy;
  readonly fence: string;
  /** Rows before their cutoffs, up to DUE_CAP + 1; null where that is not known. */
  readonly total: number | null;
  /** Rows that may go; `ending` null: there are no more than these. */
  readonly most: { readonly rows: number; readonly ending: Ending | null };
  /** Files that may be queued. */
  readonly mostFiles: number;
  /** What the preflight checks again while the run lasts; all of it unless given. */
  readonly checks?: readonly Check[];
}

/** For the log: how far it is, and how many there are. */
export function progress(deleted: number, total: number | null): string {
  const all = total === null ? '?' : total > DUE_CAP ? `${DUE_CAP}+` : String(total);
  return `Processed ${deleted}/${all}`;
}
