/** What a batch is asked to do, and what every statement of it is made from. */
import { allOf, literal, type Sql, sql, type TableName, tableId } from '../../platform/sql';
import type { Policy } from '../../policies/contract';
import { type Strategy, strategyOf } from '../../policies/strategies';
import { treeOf } from '../../policies/tree';
import type { Blocks } from './heap';
import type { Leg, Position } from './leg';
import { type Walk, walkOf } from './legs';

export interface BatchRequest {
  readonly policy: Policy;
  readonly version: string;
  readonly runId: string;
  readonly fence: string;
  readonly seq: number;
  readonly leg: Leg;
  readonly position: Position | null;
  /** Rows that are looked at. */
  readonly limit: number;
  /** As a range of the index where that is possible; else, and without it, row by row, stepping over what others have locked. */
  readonly byRange?: boolean;
  /** At most so many of them go, the first in the order of the walk; the next batch looks at the rest again. */
  readonly most?: number;
  /** Of rows that others hang on: at most so many of all tables go. */
  readonly mostRows?: number;
  /** Of these: how many of all tables went with each in the batches before. Unless given what goes is counted first. */
  readonly rowsOfEach?: number;
  readonly asOf: string;
  readonly actor: string;
  readonly reason: string;
  readonly statementTimeoutMs: number;
  /** What was archived of it, and may go; undefined: nothing of a policy that archives. */
  readonly archived?: Archived;
  /** Walk these blocks of the table instead of the index; `position` and `limit` do not count then. */
  readonly blocks?: Blocks;
  /** Whether its answer brings news of others (pressure.ts). */
  readonly asksForPressure?: boolean;
}

/** So many rows of all tables a governed row may have on average, until they bound the batch; then more of those before. */
const ROWS_A_ROW = 10;
/** Governed rows differ in what hangs on them. */
export const HEADROOM = 2;
/** As many as a receipt may name (lib/engine/run/pace.ts). */
const MOST_ROWS = 40_000;
/** Rows that refer to their own table may be a chain, of which each is a level of its own. */
const MOST_IN_CIRCLES = 2_000;
export function mostRowsOf({
  policy,
  mostRows,
  rowsOfEach = 0,
  limit,
}: Pick<BatchRequest, 'policy' | 'mostRows' | 'rowsOfEach' | 'limit'>): number {
  const most = treeOf(policy).isCircular ? MOST_IN_CIRCLES : MOST_ROWS;
  return mostRows ?? Math.min(most, Math.ceil(Math.max(ROWS_A_ROW, HEADROOM * rowsOfEach) * limit));
}

/** Rows as they were when they were archived: only these may go, and only unchanged. */
export interface Archived {
  readonly id: string;
  /** For retention.name_archive. */
  readonly facts: object;
  /** The version of each governed row, by its key. */
  readonly versions: Readonly<Record<string, string>>;
  /** Every row that goes: its place in the tree, its key, its version. */
  readonly rows: {
    readonly n: readonly number[];
    readonly keys: readonly string[];
    readonly versions: readonly string[];
  };
  /** How many rows go with each governed one, by its key; null: all of them go, or nothing. */
  readonly below: Readonly<Record<string, number>> | null;
  /** They are some of those below one row, which is taken apart. */
  readonly isPart: boolean;
}

export interface Batch {
  readonly request: BatchRequest;
  readonly policy: Policy;
  readonly strategy: Strategy;
  readonly walk: Walk;
}

export const batchOf = (request: BatchRequest): Batch => ({
  request,
  policy: request.policy,
  strategy: strategyOf(request.policy),
  walk: walkOf(request.policy, request.leg, request.asOf),
});

/** Demands statement 2: without enter_batch, or with another batch's, nothing matches. */
export const token = ({ request, policy }: Batch): Sql => {
  const t: TableName = policy.table;
  return allOf(
    sql`current_setting('lapse.batch', true) = ${`${request.runId}:${request.seq}`}`,
    // One that was detached meanwhile is no part of what the policy governs.
    t.of &&
      sql`(select pg_partition_root(to_regclass(${literal(tableId(t).text)})) = to_regclass(${literal(tableId(t.of).text)}))`,
  );
};
