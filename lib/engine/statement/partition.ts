/**
 * Whole partitions: which there are, and the statement that drops one. All of it happens in
 * retention.drop_partition, in one transaction: count, fence, holds, drop and receipt stand or fall together, so
 * a run killed anywhere leaves a partition as it was, or gone with its receipt. What cannot go whole is walked row
 * by row, leaf by leaf: a row of a partitioned parent cannot be locked by its place (DELETION §2, §12).
 */
import { z } from 'zod';
import { oneRow, type Query, query, rows } from '../../platform/query';
import type { Asking, Limits } from '../../platform/session';
import { raw, sql, type TableName, tableId, typed } from '../../platform/sql';
import { scaleOf } from '../../policies/clocks';
import { goesWhole, type Policy } from '../../policies/contract';
import { BatchResult, type DatabaseRequest } from './batch';
import { withDueRows } from './leaf-by-leaf';
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

/** All of them, in the order of their names: nothing but its rows says what a partition holds. */
const allPartitionsOf = (policy: Policy): Query<Partition[]> =>
  query(
    sql`select n.nspname as schema_name, c.relname as table_name, null::text as lower, null::text as upper, false as expired, 'other' as obstacle
    from pg_partition_tree(to_regclass(${tableId(policy.table).text})) t join pg_class c on c.oid = t.relid
    join pg_namespace n on n.oid = c.relnamespace where t.isleaf and t.level > 0 order by 1, 2`,
    rows(Partition),
  );

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
    from retention.partitions(to_regclass(${tableId(policy.table).text})) b
    where b.lower_bound is null or b.lower_bound::${type} < ${at}
    order by b.lower_bound::${type} nulls last, b.schema_name, b.table_name`,
    rows(Partition),
  );
}

/** The policy on one leaf: rows lie there, and are known by the name of the table it is a part of. */
export function onLeaf(policy: Policy, leg: Leg): Policy {
  if (!leg.leaf) return policy;
  const { partitioned: _, ...rest } = policy;
  return { ...rest, table: leg.leaf };
}

const leafOf = (policy: Policy, p: Partition): TableName => ({
  schema: p.schema_name,
  name: p.table_name,
  of: policy.table,
});

/** Declared dependants need no foreign key to be there, and would be left behind. */
export const mayBeDropped = (policy: Policy, partition: Partition): boolean =>
  partition.expired && partition.obstacle === null && policy.dependants.length === 0;

/** The catalogs of a few thousand partitions. */
const CATALOG: Limits = { statementMs: 5_000 };

export interface LeafLeg {
  readonly leg: Leg;
  /** Null for a table that has none. */
  readonly partition: Partition | null;
}

/** Each leg once a partition that may hold a row of it; as they are for a table without. */
export async function onLeaves(policy: Policy, legs: readonly Leg[], reading: Asking): Promise<LeafLeg[]> {
  if (!policy.partitioned) return legs.map((leg) => ({ leg, partition: null }));
  if (!goesWhole(policy)) {
    const all = await onEachLeaf(policy, legs, reading);
    // Of tenants each partition is asked by its batches; what is due does not depend on the instant of the others.
    const [rules, others] = [
      all.filter((l) => l.leg.kind !== 'tenants'),
      all.filter((l) => l.leg.kind === 'tenants'),
    ];
    return [...(await withDueRows(rules, NO_INSTANT, reading)), ...others];
  }
  const found: LeafLeg[] = [];
  for (const leg of legs) {
    const cutoff = hasOneCutoff(leg) ? leg.cutoff : null;
    for (const partition of await reading.askOne(partitionsOf(policy, cutoff), CATALOG)) {
      found.push({ leg: { ...leg, leaf: leafOf(policy, partition) }, partition });
    }
  }
  return found;
}

const NO_INSTANT = 'infinity';

/** Each leg on each partition there is, of a table that is partitioned in another way than by its clock. */
export async function onEachLeaf(
  policy: Policy,
  legs: readonly Leg[],
  reading: Asking,
): Promise<(LeafLeg & { policy: Policy })[]> {
  const partitions = await reading.askOne(allPartitionsOf(policy), CATALOG);
  return legs.flatMap((leg) =>
    partitions.map((partition) => {
      const onIt = { ...leg, leaf: leafOf(policy, partition) };
      return { leg: onIt, partition, policy: onLeaf(policy, onIt) };
    }),
  );
}

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
