/**
 * Whole partitions: which there are, and the statement that drops one. All of it happens in
 * retention.drop_partition, in one transaction: count, fence, holds, drop and receipt stand or fall together, so
 * a run killed anywhere leaves a partition as it was, or gone with its receipt. What cannot go whole is walked row
 * by row, leaf by leaf: a row of a partitioned parent cannot be locked by its place (DELETION §2, §12).
 */
import { z } from 'zod';
import type { Row, Statement } from '../../platform/database';
import { type Query, query, rows } from '../../platform/query';
import { type Asking, type Limits, session } from '../../platform/session';
import type { TableName } from '../../platform/sql';
import { name, Parameters, table } from '../../platform/sql';
import type { Policy } from '../../policies/contract';
import { BatchResult } from './batch';
import type { Leg } from './leg';
import { before } from './predicate';

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

export const partitionName = (p: Partition): string => `${p.schema_name}.${p.table_name}`;

/** One row a Partition, oldest first: those that may hold a row before the cutoff. No cutoff: all of them. */
function partitionsOf(policy: Policy, cutoff: string | null): Query<Partition[]> {
  const p = new Parameters();
  const relation = `to_regclass(${p.add(table(policy.table))})`;
  const at = p.add(cutoff ?? 'infinity', 'timestamptz');
  const type = { timestamptz: 'timestamptz', timestamp: 'timestamp', date: 'date' }[policy.clock.type];
  const clock = name(policy.clock.column);
  // The bounds stand in for a row's clock, so that they are compared exactly as one would be.
  const bound = (column: string) => before(policy, 'b', at).replace(`b.${clock}`, `b.${column}::${type}`);
  const statement =
    p.statement(`select b.schema_name, b.table_name, b.lower_bound as lower, b.upper_bound as upper, b.obstacle,
      b.upper_bound is not null and coalesce(${bound('upper_bound').replace(' < ', ' <= ')}, false) as expired
    from retention.partitions(${relation}) b
    where b.lower_bound is null or ${bound('lower_bound')}
    order by b.lower_bound::${type} nulls last, b.schema_name, b.table_name`);
  return query(statement, rows(Partition));
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
export const mayBeDropped = (policy: Policy, p: Partition): boolean =>
  p.expired && p.obstacle === null && policy.dependants.length === 0;

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
  const found: LeafLeg[] = [];
  for (const leg of legs) {
    const cutoff = leg.kind === 'rule' ? leg.cutoff : null;
    for (const partition of await reading.askOne(partitionsOf(policy, cutoff), CATALOG)) {
      found.push({ leg: { ...leg, leaf: leafOf(policy, partition) }, partition });
    }
  }
  return found;
}

export interface DropOrder {
  readonly policy: Policy;
  readonly version: string;
  readonly runId: string;
  readonly fence: string;
  readonly seq: number;
  readonly leg: Leg & { kind: 'rule' };
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

/** The statements that drop one partition, and how their answer, or its receipt, is read. */
export function drop(order: DropOrder): {
  statements: Statement[];
  read(answers: Row[][]): DropResult;
  fromReceipt(receipt: BatchResult): DropResult;
} {
  const { policy, partition } = order;
  const most = Number.isFinite(order.most) ? order.most : Number.MAX_SAFE_INTEGER;
  const statement = {
    text: `select d.picked::text, d.deleted::text, d.obstacle, 0 as dependants_deleted, 0 as files, 0 as bytes, '{}'::jsonb as by_rule,
        '{}'::jsonb as kept, '{"ended": true, "clock": null, "key": []}'::jsonb as after
      from retention.drop_partition($1, $2::bigint, $3::uuid, $4::int, $5, $6, $7, $8::timestamptz, $9::timestamptz,
        $10, $11::bigint, $12, $13) d`,
    params: [
      policy.name,
      order.fence,
      order.runId,
      order.seq,
      order.version,
      table(policy.table),
      table(leafOf(policy, partition)),
      order.leg.cutoff,
      order.asOf,
      order.leg.rule.label,
      most,
      order.actor,
      order.reason,
    ],
  };
  return {
    statements: [session(order.statementTimeoutMs), statement],
    read: (answers) => DropResult.parse(answers[1]?.[0]),
    fromReceipt: (receipt) => ({ ...receipt, obstacle: null }),
  };
}
