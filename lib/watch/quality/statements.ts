/**
 * The measuring statements. Each reads a bounded part of the table whatever its size: rows at one end of an index up
 * to a number, or a sample of blocks, each block whole (TABLESAMPLE SYSTEM, another sample each day). They run in
 * READ ONLY transactions and give counts and keys, never the content of a row.
 */
import { before } from '../../engine/statement/predicate';
import type { Statement } from '../../platform/database';
import type { KeyColumn, TableName } from '../../platform/sql';
import { keyText, name, Parameters, table } from '../../platform/sql';
import type { Policy } from '../../policies/contract';
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

const sampled = (
  relation: TableName,
  alias: string,
  pages: number,
  blocks: number,
  m: Moment,
  p: Parameters,
): string => {
  const { percent } = sampleOf(pages, blocks);
  return `${table(relation)} ${alias} tablesample system (${p.add(percent, 'float4')}) repeatable (${p.add(Math.floor(m.now.getTime() / 86_400_000), 'float8')})`;
};

/** NULL or -infinity: neither is ever before a cutoff. */
const empty = (policy: Policy): string =>
  `(t.${name(policy.clock.column)} is null or t.${name(policy.clock.column)} = '-infinity')`;

/** Ahead of now by more than is tolerated. */
function ahead(policy: Policy, m: Moment, p: Parameters): string {
  const limit = new Date(m.now.getTime() + policy.quality.aheadSeconds * 1000).toISOString();
  return `not (${before(policy, 't', p.add(limit, 'timestamptz'))})`;
}

/** Rows that the policy no longer covers, or never did, are no fault of its data. */
const unmarked = (policy: Policy): string =>
  policy.strategy.kind === 'soft-delete' ? `t.${name(policy.strategy.column)} is null` : 'true';
const governedRow = (policy: Policy): string => `(${policy.where ?? 'true'})`;

const someKeys = (key: string, when: string): string =>
  `(array_agg(${key}) filter (where ${when}))[1:${MOST_KEYS}]`;

/** One row: looked_at, empty, empty_keys, ahead, ahead_keys, oldest, newest. */
export function clockSample(policy: Policy, pages: number, m: Moment): Statement {
  const p = new Parameters();
  const from = sampled(policy.table, 't', pages, SAMPLE_BLOCKS, m, p);
  const late = ahead(policy, m, p);
  const key = keyText('t', policy.key);
  const clock = `t.${name(policy.clock.column)}`;
  return p.statement(`select count(*)::float8 as looked_at,
      count(*) filter (where ${empty(policy)})::float8 as empty, ${someKeys(key, empty(policy))} as empty_keys,
      count(*) filter (where ${late})::float8 as ahead, ${someKeys(key, late)} as ahead_keys,
      (min(${clock}) filter (where ${clock} > '-infinity'))::text as oldest,
      (max(${clock}) filter (where ${clock} < 'infinity'))::text as newest
    from ${from} where ${unmarked(policy)} and ${governedRow(policy)}`);
}

export const isWholeClockSample = (pages: number): boolean => sampleOf(pages, SAMPLE_BLOCKS).whole;
export const isWholeLookup = (pages: number): boolean => sampleOf(pages, LOOKUP_BLOCKS).whole;

/** By an index that leads with the clock; of one row each. */
export function clockByIndex(policy: Policy, m: Moment): Record<'empty' | 'ahead' | 'ends', Statement> {
  const clock = `t.${name(policy.clock.column)}`;
  const p = new Parameters();
  const from = (where: string) =>
    `(select t.* from ${table(policy.table)} t where ${where} and ${unmarked(policy)} limit ${MOST_COUNTED})`;
  const counts = (inner: string) => `select count(*)::float8 as looked_at,
      count(*) filter (where ${governedRow(policy)})::float8 as found, ${someKeys(keyText('t', policy.key), governedRow(policy))} as keys
    from (${inner}) t`;
  const end = (order: string, bound: string) =>
    `(select ${clock}::text from ${table(policy.table)} t where ${bound} and ${unmarked(policy)} order by ${clock} ${order} limit 1)`;
  return {
    empty: new Parameters().statement(
      counts(`${from(`${clock} is null`)} union all ${from(`${clock} = '-infinity'`)}`),
    ),
    ahead: p.statement(counts(from(ahead(policy, m, p)))),
    ends: new Parameters().statement(
      `select ${end('asc', `${clock} > '-infinity'`)} as oldest, ${end('desc', `${clock} < 'infinity'`)} as newest`,
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
    to: policy.table,
    target: policy.key.map((k) => k.column),
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
  const p = new Parameters();
  const from = sampled(r.from, 'c', pages, LOOKUP_BLOCKS, m, p);
  const same = r.columns.map((c, i) => `x.${name(r.target[i]!)} = c.${name(c)}`).join(' and ');
  return p.statement(`select count(*)::float8 as looked_at, count(*) filter (where hit is null)::float8 as found,
      ${someKeys(keyText('c', r.key), 'hit is null')} as keys
    from ${from} left join lateral (select true as hit from ${table(r.to)} x where ${same} limit 1) h on true
    where ${r.columns.map((c) => `c.${name(c)} is not null`).join(' and ')}`);
}

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
  const p = new Parameters();
  const from = sampled(policy.table, 't', pages, LOOKUP_BLOCKS, m, p);
  const same = columns.map((c) => `x.${name(c)} = t.${name(c)}`).join(' and ');
  return p.statement(`select count(*)::float8 as looked_at, count(*) filter (where n > 1)::float8 as found,
      ${someKeys(keyText('t', policy.key), 'n > 1')} as keys
    from ${from} cross join lateral (
      select count(*) as n from (select 1 from ${table(policy.table)} x where ${same} limit 2) y) d
    where ${columns.map((c) => `t.${name(c)} is not null`).join(' and ')}`);
}

/** Without an index only duplicates within the sample are seen. */
export function duplicatesWithin(
  policy: Policy,
  columns: readonly string[],
  pages: number,
  m: Moment,
): Statement {
  const p = new Parameters();
  const from = sampled(policy.table, 't', pages, LOOKUP_BLOCKS, m, p);
  return p.statement(`select coalesce(sum(n), 0)::float8 as looked_at, coalesce(sum(n) filter (where n > 1), 0)::float8 as found,
      ${someKeys('one', 'n > 1')} as keys
    from (select count(*) as n, min(${keyText('t', policy.key)}) as one from ${from}
      where ${columns.map((c) => `t.${name(c)} is not null`).join(' and ')} group by ${columns.map((c) => `t.${name(c)}`).join(', ')}) g`);
}
