/**
 * Dependants that lose their reference to rows of a tree, at any level (fate `set-null`): a statement a table, for a row is
 * changed but once by a statement, after everything that goes was locked and before it goes. What goes itself is left alone.
 */
import {
  cte,
  id,
  keyAsText,
  list,
  literal,
  raw,
  type Sql,
  sql,
  tableLabel,
  united,
  withParts,
} from '../../platform/sql';
import type { Dependant, Policy } from '../../policies/contract';
import { clearedColumns, detachedDependants } from '../../policies/going';
import { parentTable, sameTable } from '../../policies/hanging';
import { placeOf, treeOf } from '../../policies/tree';
import { childrenOf, number, parentOf } from './below';
import { detachAt } from './change';
import type { Batch } from './request';
import { setting } from './shapes/tree-left';
import { clear, treeOfRows } from './shapes/tree-rows';

/** By table. */
function groups(policy: Policy): [Dependant, ...Dependant[]][] {
  const found: [Dependant, ...Dependant[]][] = [];
  for (const d of detachedDependants(policy)) {
    const same = found.find(([first]) => sameTable(first.table, d.table));
    if (same) same.push(d);
    else found.push([d]);
  }
  return found;
}

/** First lets out what may not go after all; then a statement a table. */
export function detachingAlong(b: Batch): Sql[] {
  const tables = groups(b.policy);
  if (tables.length === 0) return [];
  // Rows of the governed table below it are judged by what the walk asks.
  const lead = treeOf(b.policy).takesGoverned ? b.walk.lead : [];
  const parts = withParts(...lead, clear(b), treeOfRows(b, 'clear'));
  const kept = ['n', 'o', 'c', 'r'].map(
    (x) =>
      sql`set_config(${literal(`lapse.tree_${x}`)}, coalesce((select array_agg(${id(x)} order by n, o, c)::text from tree), '{}'), true)`,
  );
  return [
    sql`${parts}select ${list(...kept, sql`set_config('lapse.detached', '', true)`)}`,
    ...tables.map((same) => {
      const label = literal(tableLabel(same[0].table));
      const changed = cte('changed', changing(b.policy, same));
      return sql`${withParts(...lead, clear(b), treeOfRows(b, 'clear'), changed)}select set_config('lapse.detached', (s.far || case when count(x.key) = 0 then '{}'
      else jsonb_build_object(${label}, jsonb_agg(x.key order by x.key)) end)::text, true)
  from (select coalesce(nullif(${setting('detached')}, ''), '{}')::jsonb as far) s
    left join (select c.key from changed c cross join generate_series(1, c.n)) x on true group by s.far`;
    }),
  ];
}

/** The same as parts of the statement that tries one row. */
export const detachedAlong = ({ policy }: Batch): Sql[] =>
  groups(policy).map((same, i) => cte(`u${i}`, changing(policy, same)));

/** One line for each row that was changed: its key, and how many references it has lost. */
function changing(policy: Policy, same: readonly [Dependant, ...Dependant[]]): Sql {
  const { table, key } = same[0];
  const own = placeOf(policy, table);
  const lost = same.map((d, i) => {
    const from = placeOf(policy, parentTable(d, policy))!;
    return sql`select ${raw(String(i))} as i, d.o, d.c from tree x ${parentOf(from, 'x')} ${childrenOf(d, table, policy, sql`offset 0`)} where x.n = ${number(from)}`;
  });
  const goes = own
    ? sql` where not exists (select 1 from tree y where y.n = ${number(own)} and y.o = f.o and y.c = f.c)`
    : sql``;
  const k = sql`(select f.o, f.c, array_agg(f.i) as i from (${united(lost)}) f${goes} group by f.o, f.c) k`;
  const columns = [...new Set(same.flatMap(clearedColumns))].map((column) => {
    const those = same.flatMap((d, i) => (clearedColumns(d).includes(column) ? [raw(String(i))] : []));
    return sql`${id(column)} = case when k.i && array[${list(...those)}] then null else ${id('d', column)} end`;
  });
  return detachAt(table, list(...columns), k, sql`${keyAsText('d', key)} as key, cardinality(k.i) as n`);
}
