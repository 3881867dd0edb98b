/**
 * The mass-deletion guard (G2): a run whose candidates pass an absolute cap, a share of the table or a
 * multiple of the usual run stops before its first delete. The tightest limit counts. What cannot be judged
 * (a table never analyzed) is not let through.
 */

import { table } from '../../platform/sql';
import type { Policy } from '../../policies/contract';
import type { AdmissionFacts } from './facts';

/** So few go whatever the table says: a share of next to nothing means nothing. */
const ALWAYS = 10;
/** Below this a quarter is a handful of rows: half of the table is the limit instead. */
const SMALL_TABLE = 1_000;
const SMALL_SHARE = 0.5;
/** Fewer runs have no usual size. */
const ENOUGH_RUNS = 5;
/** A jump from 3 rows to 300 is noise; below this the multiple does not judge. */
const MULTIPLE_FROM = 1_000;

export interface Limit {
  readonly most: number;
  /** Reads on after "more than". */
  readonly because: string;
}

/** The tightest limit of this run. */
export function limitOf(policy: Policy, facts: Pick<AdmissionFacts, 'estimate' | 'usual'>): Limit {
  const { rows, share, multiple } = policy.guard;
  const { estimate, usual } = facts;
  const limits: Limit[] = [{ most: rows, because: `${rows}, the most rows of one run` }];
  if (estimate === null || estimate < 0) {
    limits.push({
      most: ALWAYS,
      because: `${ALWAYS} of a table that was never analyzed; run ANALYZE ${table(policy.table)}`,
    });
  } else {
    const small = estimate < SMALL_TABLE;
    const part = small ? Math.max(share, SMALL_SHARE) : share;
    const most = Math.max(ALWAYS, Math.floor(estimate * part));
    limits.push({
      most,
      because: `${most}, ${Math.round(part * 100)} % of about ${estimate} rows${small ? ' (a small table)' : ''}`,
    });
  }
  if (usual.runs >= ENOUGH_RUNS && usual.median !== null) {
    const most = Math.max(MULTIPLE_FROM, Math.floor(usual.median * multiple));
    limits.push({ most, because: `${most}, ${multiple} times the usual run of ${usual.median}` });
  }
  return limits.reduce((tightest, l) => (l.most < tightest.most ? l : tightest));
}
