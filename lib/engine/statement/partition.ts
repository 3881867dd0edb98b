/**
 * Whole partitions: which there are, and the statement that drops one. All of it happens in
 * retention.drop_partition, in one transaction: count, fence, holds, drop and receipt stand or fall together, so
 * a run killed anywhere leaves a partition as it was, or gone with its receipt. What cannot go whole is walked row
 * by row, leaf by leaf: a row of a partitioned parent cannot be locked by its place (DELETION §2, §12).
 */
import { z } from 'zod';
import { oneRow, type Query, query, rows } from '../../platform/query';
import type { Asking } from '../../platform/session';
import { raw, sql, type TableName, tableId, typed } from '../../platform/sql';
import { scaleOf } from '../../policies/clocks';
import { goesWhole, type Policy } from '../../policies/contract';
import { BatchResult, type DatabaseRequest } from './batch';
import { boundedBy, leavesWithDueRows, OF_LEAVES } from './leaf-by-leaf';
import { hasOneCutoff, type Leg, type RuleLeg } from './leg';
import { inClock } from './predicate';

export const Partition = z.object({
  schema_name: z.string(),
  table_name: z.string(),
  lower: z.string().nullable(),
  upper: z.string().nullable(),
  /** Lies wholly before the cutoff. */
  expired: z.boolean(),
  /** Why it cannot be dropped, whatever its rows are; null when nothing but its rows can keep it. */
  obstacle: z.string().nullable(),
});
export type Partition = z.infer<typeof Partition>;

export const partitionName = (partition: Partition): string =>
  `${partition.schema_name}.${partition.table_name}`;

const There = z.object({ there: z.boolean() }).transform((row) => row.there);
export const isThere = (t: TableName): Query<boolean> =>
  query(sql`select to_regclass(${tableId(t).text}) is not null as there`, oneRow(There));

/** One row a Partition, oldest first: those that may hold a row before the cutoff. No cutoff: all of them. */
function partitionsOf(policy: Policy, cutoff: string | null): Query<Partition[]> {
  const at = inClock(policy, typed(cutoff ?? 'infinity', 'timestamptz'));
  const type = raw(scaleOf(policy.clock).type);
  // The bounds stand in for a row's clock, so that they are compared exactly as one would be.
  return query(
    sql`select b.schema_name, b.table_name, b.lower_bound as lower, b.upper_bound as upper, b.obstacle,
      b.upper_bound is not null and coalesce(b.upper_bound::${type} <= ${at}, false) as expired
    from ${boundedBy(policy, cutoff)}
    order by b.lower_bound::${type} nulls last, b.schema_name, b.table_name`,
    rows(Partition),
  );
}

const leafOf = (policy: Policy, p: Pick<Partition, 'schema_name' | 'table_name'>): TableName => ({
  schema: p.schema_name,
  name: p.table_name,
  of: policy.table,
});

/** Declared dependants need no foreign key to be there, and would be left behind. */
export const mayBeDropped = (policy: Policy, partition: Partition): boolean =>
  partition.expired && partition.obstacle === null && policy.dependants.length === 0;

export interface LeafLeg {
  readonly leg: Leg;
  /** Null for a table that has none, and for partitions that go row by row whatever they are. */
  readonly partition: Partition | null;
}

/** Each leg once a partition that has a row of it, or may go whole; as they are for a table without. */
export async function onLeaves(policy: Policy, legs: readonly Leg[], reading: Asking): Promise<LeafLeg[]> {
  if (!policy.partitioned) return legs.map((leg) => ({ leg, partition: null }));
  const found: LeafLeg[] = [];
  for (const leg of legs) {
    found.push(
      ...(goesWhole(policy) ? await whole(policy, leg, reading) : await withRows(policy, leg, reading)),
    );
  }
  return found;
}

/** What is due of a rule does not depend on the instant; of tenants each partition is asked by its batches. */
const NO_INSTANT = 'infinity';

async function withRows(policy: Policy, leg: Leg, reading: Asking): Promise<LeafLeg[]> {
  const leaves = await reading.askOne(leavesWithDueRows(policy, leg, NO_INSTANT), OF_LEAVES);
  return leaves.map((leaf) => ({ leg: { ...leg, leaf: leafOf(policy, leaf) }, partition: null }));
}

async function whole(policy: Policy, leg: Leg, reading: Asking): Promise<LeafLeg[]> {
  const cutoff = hasOneCutoff(leg) ? leg.cutoff : null;
  const all = await reading.askOne(partitionsOf(policy, cutoff), OF_LEAVES);
  const staying = all.filter((partition) => !mayBeDropped(policy, partition));
  const due =
    staying.length > FEW
      ? await reading.askOne(leavesWithDueRows(policy, leg, NO_INSTANT), OF_LEAVES)
      : staying;
  const names = new Set(due.map(nameOf));
  return all
    .filter((partition) => mayBeDropped(policy, partition) || names.has(nameOf(partition)))
    .map((partition) => ({ leg: { ...leg, leaf: leafOf(policy, partition) }, partition }));
}
/** A batch each is no more than asking first. */
const FEW = 2;
const nameOf = (p: Pick<Partition, 'schema_name' | 'table_name'>): string =>
  `${p.schema_name}\0${p.table_name}`;

export interface DropRequest {
  readonly policy: Policy;
  readonly version: string;
  readonly runId: string;
  readonly fence: string;
  readonly seq: number;
  readonly leg: RuleLeg;
  readonly partition: Partition;
  /** A partition of more rows is left alone. */
  readonly most: number;
  readonly asOf: string;
  readonly actor: string;
  readonly reason: string;
  readonly statementTimeoutMs: number;
}

/** `obstacle`: why the partition was left as it was. A receipt says it is gone. */
export const DropResult = BatchResult.extend({ obstacle: z.string().nullable() });
export type DropResult = z.infer<typeof DropResult>;

/** The statement that drops one partition. */
export function drop(request: DropRequest): DatabaseRequest<{ dropped: Query<DropResult> }, DropResult> {
  const { policy, leg } = request;
  const most = Number.isFinite(request.most) ? request.most : Number.MAX_SAFE_INTEGER;
  const dropped = sql`select d.picked::text, d.deleted::text, d.obstacle, 0 as dependants_deleted, 0 as files, 0 as bytes, '{}'::jsonb as by_rule,
        '{}'::jsonb as kept, '{"ended": true, "clock": null, "key": []}'::jsonb as after
      from retention.drop_partition(${policy.name}, ${request.fence}::bigint, ${request.runId}::uuid, ${request.seq}::int, ${request.version},
        ${tableId(policy.table).text}, ${tableId(leafOf(policy, request.partition)).text}, ${leg.cutoff}::timestamptz, ${request.asOf}::timestamptz,
        ${leg.rule.label}, ${most}::bigint, ${request.reason}) d`;
  return {
    queries: { dropped: query(dropped, oneRow(DropResult)) },
    result: (answers) => answers.dropped,
    fromReceipt: (receipt) => ({ ...receipt, obstacle: null }),
  };
}
