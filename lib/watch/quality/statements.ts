/**
 * The measuring statements. Each reads a bounded part of the table whatever its size: rows at one end of an index up
 * to a number, or a sample of blocks, each block whole (TABLESAMPLE SYSTEM, another sample each day). They run in
 * READ ONLY transactions and give counts and keys, never the content of a row.
 */
import { laterWithoutInstant } from '../../engine/statement/later';
import { clockOf } from '../../engine/statement/legs/columns';
import { condition, isBefore, isInstant, unmarked } from '../../engine/statement/predicate';
import type { Statement } from '../../platform/database';
import {
  allOf,
  anyOf,
  id,
  type KeyColumn,
  keyAsText,
  list,
  raw,
  type Sql,
  sql,
  statement,
  type TableName,
  tableId,
  typed,
  united,
} from '../../platform/sql';
import { scaleOf } from '../../policies/clocks';
import type { Policy } from '../../policies/contract';
import { parentTable, refersTo } from '../../policies/hanging';
import { MOST_KEYS } from './measurement';

/** 16 MB at the most: under a tenth of a second warm, a second or two from a cold disk. */
const SAMPLE_BLOCKS = 2_000;
/** Each row costs a look into another table: a fifth of a second for a hundred thousand. */
const LOOKUP_BLOCKS = 500;
/** Rows at fault that an index counts: more than these is a share, and the sample has it. */
export const MOST_COUNTED = 10_000;

export interface Moment {
  readonly now: Date;
}

/** A share of the blocks of a table of `pages`; `whole` when that is all of them. */
function sampleOf(pages: number, blocks: number): { percent: number; whole: boolean } {
  return pages <= blocks ? { percent: 100, whole: true } : { percent: (100 * blocks) / pages, whole: false };
}

const sampled = (relation: TableName, alias: string, pages: number, blocks: number, { now }: Moment): Sql => {
  const { percent } = sampleOf(pages, blocks);
  const today = Math.floor(now.getTime() / 86_400_000);
  return sql`${tableId(relation)} ${id(alias)} tablesample system (${percent}::float4) repeatable (${today}::float8)`;
};

/** NULL, -infinity, or whatever else is no instant: none of it is ever before a cutoff. Infinity lies ahead. */
const empty = (policy: Policy): Sql => {
  const clock = clockOf(policy);
  const { high, low, isInstant } = scaleOf(policy.clock);
  const own =
    high === null ? sql`(${isInstant(clock)} is not true)` : sql`(${clock} is null or ${clock} <= ${low})`;
  const other = laterWithoutInstant(policy);
  return other ? anyOf(own, other) : own;
};

/** Ahead of now by more than is tolerated. */
function ahead(policy: Policy, { now }: Moment): Sql {
  const limit = new Date(now.getTime() + policy.quality.aheadSeconds * 1000).toISOString();
  const isAhead = sql`not (${isBefore(policy, clockOf(policy), typed(limit, 'timestamptz'))})`;
  return scaleOf(policy.clock).high === null ? sql`(${isAhead} and ${isInstant(policy)})` : isAhead;
}

/** Rows that the policy no longer covers, or never did, are no fault of its data. */
const governedRow = (policy: Policy): Sql => condition(policy) ?? sql`(true)`;

const someKeys = (key: Sql, when: Sql): Sql =>
  sql`(array_agg(${key}) filter (where ${when}))[1:${raw(String(MOST_KEYS))}]`;

/** As the column has it, where that can be read as a time. */
const asText = ({ clock }: Policy, value: Sql): Sql =>
  clock.type === 'epoch' ? sql`${scaleOf(clock).instant(value)}::text` : sql`${value}::text`;

/** One row: looked_at, empty, empty_keys, ahead, ahead_keys, oldest, newest. */
export function clockSample(policy: Policy, pages: number, m: Moment): Statement {
  const late = ahead(policy, m);
  const key = keyAsText('t', policy.key);
  const clock = clockOf(policy);
  return statement(sql`select count(*)::float8 as looked_at,
      count(*) filter (where ${empty(policy)})::float8 as empty, ${someKeys(key, empty(policy))} as empty_keys,
      count(*) filter (where ${late})::float8 as ahead, ${someKeys(key, late)} as ahead_keys,
      ${asText(policy, sql`(min(${clock}) filter (where ${isInstant(policy)}))`)} as oldest,
      ${asText(policy, sql`(max(${clock}) filter (where ${isInstant(policy)}))`)} as newest
    from ${sampled(policy.table, 't', pages, SAMPLE_BLOCKS, m)} where ${allOf(unmarked(policy), governedRow(policy))}`);
}

export const isWholeClockSample = (pages: number): boolean => sampleOf(pages, SAMPLE_BLOCKS).whole;
export const isWholeLookup = (pages: number): boolean => sampleOf(pages, LOOKUP_BLOCKS).whole;

/** By an index that leads with the clock; of one row each. Null of a clock whose index does not tell what is no instant. */
export function clockByIndex(
  policy: Policy,
  m: Moment,
): Record<'empty' | 'ahead' | 'ends', Statement> | null {
  const { low, high } = scaleOf(policy.clock);
  if (high === null) return null;
  const clock = clockOf(policy);
  const t = sql`${tableId(policy.table)} t`;
  const some = (where: Sql) =>
    sql`(select t.* from ${t} where ${allOf(where, unmarked(policy))} limit ${raw(String(MOST_COUNTED))})`;
  const counts = (inner: Sql) =>
    statement(sql`select count(*)::float8 as looked_at,
      count(*) filter (where ${governedRow(policy)})::float8 as found, ${someKeys(keyAsText('t', policy.key), governedRow(policy))} as keys
    from (${inner}) t`);
  const end = (order: 'asc' | 'desc', bound: Sql) =>
    sql`(select ${asText(policy, clock)} from ${t} where ${allOf(bound, unmarked(policy))} order by ${clock} ${raw(order)} limit 1)`;
  return {
    empty: counts(united([some(sql`${clock} is null`), some(sql`${clock} <= ${low}`)])),
    ahead: counts(some(ahead(policy, m))),
    ends: statement(
      sql`select ${end('asc', sql`${clock} > ${low}`)} as oldest, ${end('desc', sql`${clock} < ${high}`)} as newest`,
    ),
  };
}

export interface RowReference {
  readonly from: TableName;
  /** How a row of `from` is named in a report. */
  readonly key: readonly KeyColumn[];
  readonly columns: readonly string[];
  readonly to: TableName;
  readonly target: readonly string[];
}

/** Those of dependants, and the declared ones of the table itself. */
export const rowReferencesOf = (policy: Policy): RowReference[] => [
  ...policy.dependants.map((d) => ({
    from: d.table,
    key: d.key,
    columns: d.references,
    to: parentTable(d, policy),
    target: refersTo(d, policy),
  })),
  ...policy.quality.references.map((r) => ({
    from: policy.table,
    key: policy.key,
    columns: r.columns,
    to: r.table,
    target: r.key,
  })),
];

/** One row: looked_at, found, keys. The lateral LIMIT keeps it at one index look-up a sampled row. */
export function orphans(r: RowReference, pages: number, m: Moment): Statement {
  const same = allOf(...r.columns.map((c, i) => sql`${id('x', r.target[i]!)} = ${id('c', c)}`));
  return statement(sql`select count(*)::float8 as looked_at, count(*) filter (where hit is null)::float8 as found,
      ${someKeys(keyAsText('c', r.key), sql`hit is null`)} as keys
    from ${sampled(r.from, 'c', pages, LOOKUP_BLOCKS, m)} left join lateral (select true as hit from ${tableId(r.to)} x where ${same} limit 1) h on true
    where ${areThere('c', r.columns)}`);
}

const areThere = (alias: string, columns: readonly string[]): Sql =>
  allOf(...columns.map((c) => sql`${id(alias, c)} is not null`));

/** The key, and what is declared beyond it. */
export const uniquesOf = (policy: Policy): (readonly string[])[] => [
  policy.key.map((k) => k.column),
  ...policy.quality.unique,
];

/** One row: looked_at, found, keys. Each sampled row is looked up in the whole table. */
export function duplicatesByIndex(
  policy: Policy,
  columns: readonly string[],
  pages: number,
  m: Moment,
): Statement {
  const same = allOf(...columns.map((c) => sql`${id('x', c)} = ${id('t', c)}`));
  return statement(sql`select count(*)::float8 as looked_at, count(*) filter (where n > 1)::float8 as found,
      ${someKeys(keyAsText('t', policy.key), sql`n > 1`)} as keys
    from ${sampled(policy.table, 't', pages, LOOKUP_BLOCKS, m)} cross join lateral (
      select count(*) as n from (select 1 from ${tableId(policy.table)} x where ${same} limit 2) y) d
    where ${areThere('t', columns)}`);
}

/** Without an index only duplicates within the sample are seen. */
export function duplicatesWithin(
  policy: Policy,
  columns: readonly string[],
  pages: number,
  m: Moment,
): Statement {
  return statement(sql`select coalesce(sum(n), 0)::float8 as looked_at, coalesce(sum(n) filter (where n > 1), 0)::float8 as found,
      ${someKeys(sql`one`, sql`n > 1`)} as keys
    from (select count(*) as n, min(${keyAsText('t', policy.key)}) as one from ${sampled(policy.table, 't', pages, LOOKUP_BLOCKS, m)}
      where ${areThere('t', columns)} group by ${list(...columns.map((c) => id('t', c)))}) g`);
}
