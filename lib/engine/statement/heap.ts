/**
 * The heap walk: for a large backlog, block after block of the table itself instead of the index. Rows leave in
 * the order they lie on disk, so each page is read, locked and logged once: several times the index walk's
 * speed (DELETION §3). Reaching the last block proves nothing, so a look through all blocks follows: what is still
 * before the cutoff, and why. Only where something of it may go does the index sweep follow.
 */
import { z } from 'zod';
import type { Row } from '../../platform/database';
import { type Answers, oneRow, type Query, query, rows } from '../../platform/query';
import { allOf, type Sql, sql, tableId } from '../../platform/sql';
import { contentsOf } from '../../policies/contents';
import type { Policy } from '../../policies/contract';
import { declaresTriggers, goingDependants } from '../../policies/going';
import { ranksOf } from '../../policies/spared';
import { strategyOf } from '../../policies/strategies';
import { staysBecause } from './keeping';
import type { RuleLeg } from './leg';
import { walkOf } from './legs';
import { mayGo } from './predicate';
import { PROGRESS, Progress } from './pressure';

/** Worth it from this share of the table on: below, most blocks hold nothing that may go. */
const LEAST_SHARE = 0.1;

/** Blocks [from, to) of a walk that ends before `end`. */
export interface Blocks {
  readonly from: number;
  readonly to: number;
  readonly end: number;
  /** Skip rows that others have locked instead of waiting for them: slower, so only after one was met. */
  readonly skipLocked: boolean;
}

/**
 * A condition that no index answers, so that a range of blocks is read as a range of blocks on every version:
 * statistics that say "few" would turn it into an index scan that reads everything for each range. Switching the other
 * scans off does not pin the plan before PostgreSQL 18: the looks at holds within the condition pay for it as well.
 */
export const unindexed = (condition: Sql): Sql => sql`(case when ${condition} then true else false end)`;

/** `t` within the range, as a condition on its place. */
export const withinBlocks = (blocks: { from: number; to: number | null }): Sql =>
  allOf(
    sql`t.ctid >= ${`(${blocks.from},0)`}::text::tid`,
    blocks.to === null ? null : sql`t.ctid < ${`(${blocks.to},0)`}::text::tid`,
  );

const Left = z.object({ reason: z.string().nullable(), n: z.coerce.number() });

/**
 * What is before the cutoff in these blocks, counted by reason; `reason` null: it may go. `to` null: to
 * the table's end. Without a cursor and without `skip locked`, so over the whole table it is the proof (DELETION §4).
 */
export function whatIsLeft(
  policy: Policy,
  leg: RuleLeg,
  blocks: { from: number; to: number | null },
  asOf: string,
): Query<z.infer<typeof Left>[]> {
  const w = walkOf(policy, leg, asOf);
  return query(
    sql`select ${staysBecause(w)} as reason, count(*)::text as n from ${w.rows}
      where ${withinBlocks(blocks)} and ${unindexed(w.due)} group by 1`,
    rows(Left),
  );
}

const First = z.object({ block: z.coerce.number().nullable() }).transform((row) => row.block);

/** The first of these blocks with a row that may go; null when there is none. */
export function firstDue(
  policy: Policy,
  leg: RuleLeg,
  blocks: { from: number; to: number },
  asOf: string,
): Query<number | null> {
  const w = walkOf(policy, leg, asOf);
  // A scan by place returns the rows in the order of their places.
  return query(
    sql`select (select (t.ctid::text::point)[0]::bigint from ${w.rows}
      where ${withinBlocks(blocks)} and ${unindexed(mayGo(w))} limit 1)::text as block`,
    oneRow(First),
  );
}
const HeapSize = z.object({
  blocks: z.coerce.number().int().nonnegative(),
  filenode: z.coerce.string(),
  rows: z.coerce.number(),
  progress: Progress,
});
const Plan = z.tuple([z.object({ Plan: z.object({ 'Plan Rows': z.number() }) })]);

/** What the planner reckons with; 0 where its answer cannot be read. */
function plannedRows([row]: readonly Row[]): number {
  const plan = Plan.safeParse(Object.values(row ?? {})[0]);
  return plan.success ? plan.data[0].Plan['Plan Rows'] : 0;
}

type HeapFacts = { readonly size: Query<z.infer<typeof HeapSize>>; readonly due: Query<number> };

/** How large the table is and where it lies; and the planner's estimate of what is due in this leg. */
export function heapFacts(policy: Policy, leg: RuleLeg): HeapFacts {
  const t = tableId(policy.table);
  return {
    size: query(
      sql`select (pg_relation_size(c.oid) / current_setting('block_size')::int)::text as blocks,
      pg_relation_filenode(c.oid)::text as filenode, c.reltuples::float8 as rows, ${PROGRESS} as progress
      from pg_class c where c.oid = ${t.text}::text::regclass`,
      oneRow(HeapSize),
    ),
    due: query(
      sql`explain (format json) select 1 from only ${t} t where ${walkOf(policy, leg, leg.cutoff).due}`,
      plannedRows,
    ),
  };
}

/** A block may have any number of rows hanging on its own; and what is archived first is found by its key. */
export const goesByItself = (policy: Policy): boolean =>
  strategyOf(policy).archive === null && goingDependants(policy).length === 0;

/**
 * Where a walk would end, and whether it is worthwhile. A policy that declares triggers keeps to the index, where each
 * row that went is looked for by its key; one that spares rows, where what stays is counted batch by batch.
 */
export function judgeHeap(
  policy: Policy,
  { size, due }: Answers<HeapFacts>,
): {
  worthWhile: boolean;
  end: number;
  filenode: string;
  /** How far the server has got. */
  progress: Progress;
} {
  return {
    worthWhile:
      goesByItself(policy) &&
      !declaresTriggers(policy) &&
      ranksOf(policy).length + contentsOf(policy).length === 0 &&
      size.rows > 0 &&
      due / size.rows >= LEAST_SHARE,
    end: size.blocks,
    filenode: size.filenode,
    progress: size.progress,
  };
}
