/** Columns of the governed table as the walks name them: `clk` and `k0`, `k1` … */
import {
  allOf,
  cte,
  id,
  keyValue,
  list,
  raw,
  type Sql,
  sql,
  type TableName,
  tableId,
  typed,
} from '../../../platform/sql';
import { clockValue, scaleOf } from '../../../policies/clocks';
import type { Policy } from '../../../policies/contract';
import type { Position } from '../leg';

export const clockOf = (policy: Policy, alias = 't'): Sql => clockValue(policy.clock, alias);
/** In which a position travels. */
const clockType = (policy: Policy): string => scaleOf(policy.clock).type;

export const keyOf = (policy: Policy, alias = 't'): Sql[] => policy.key.map((k) => id(alias, k.column));

export const keyNames = (policy: Policy): Sql[] => policy.key.map((_, i) => id(`k${i}`));

/** The key's columns under their names in `picked`. */
export const namedKey = (policy: Policy): Sql[] =>
  keyOf(policy).map((column, i) => sql`${column} as ${keyNames(policy)[i]!}`);

/** The index's order: clock, key. Where the clock is in another table, the key alone. */
export const byClock = (policy: Policy): Sql =>
  policy.clock.in ? list(...keyOf(policy)) : list(clockOf(policy), ...keyOf(policy));

/** The key of a position, typed. */
const keyAt = (policy: Policy, position: Position): Sql[] =>
  policy.key.map((k, i) => keyValue(position.key[i] ?? null, k));

/** `(clock, key) > (…)`; what begins with a clock leaves the key out instead of inventing a smallest one. */
export function afterClock(policy: Policy, position: Position): Sql {
  const clock = typed(position.clock, clockType(policy));
  if (position.key.length === 0) return sql`${clockOf(policy)} >= ${clock}`;
  return sql`(${byClock(policy)}) > (${list(clock, ...keyAt(policy, position))})`;
}

/** What is ahead of a position, in a stretch that ends before a clock. */
export const ahead = (policy: Policy, position: Position | null, until: string | undefined): Sql | null =>
  (position === null || position.clock === null) && until === undefined
    ? null
    : allOf(
        position !== null && position.clock !== null && afterClock(policy, position),
        until !== undefined && sql`${clockOf(policy)} < ${typed(until, clockType(policy))}`,
      );

/** A column of the one row of part `last`; null where that has none. */
export const ofLast = (column: Sql): Sql => sql`(select ${column} from last)`;

/** `(clock, key) <= (…)` of part `last`. */
export const upToLast = (policy: Policy): Sql =>
  sql`(${byClock(policy)}) <= (${list(ofLast(raw('clk')), ...keyNames(policy).map(ofLast))})`;

/** Part `picked` of a walk in the order of the key alone. */
export function pickedByKey(policy: Policy, where: Sql, position: Position | null, limit: number): Sql {
  const key = list(...keyOf(policy));
  return cte(
    'picked',
    sql`
    select ${list(sql`t.ctid as c`, sql`null::text as clk`, ...namedKey(policy))} from only ${tableId(policy.table)} t
    where ${allOf(where, position && position.key.length > 0 && sql`(${key}) > (${list(...keyAt(policy, position))})`)}
    order by ${key} limit ${typed(limit, 'int')}
  `,
    true,
  );
}

/** All rows of the table: of a partition those of the others, too. */
export function wholeOf({ table, partitioned }: Policy): Sql {
  const { of }: TableName = table;
  if (of) return tableId(of);
  return partitioned ? tableId(table) : sql`only ${tableId(table)}`;
}
