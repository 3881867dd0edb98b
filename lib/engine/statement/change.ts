/**
 * What a batch does to its rows: the one place that deletes. A row leaves its table only by the `delete` here, and stays,
 * changed, only by the `update`; everything else is said by its strategy (lib/policies/strategies).
 */
import {
  allOf,
  anyOf,
  empty,
  id,
  list,
  type Sql,
  sql,
  type TableName,
  table,
  tableId,
} from '../../platform/sql';
import type { Content, Dependant, Policy } from '../../policies/contract';
import { clearedColumns } from '../../policies/going';
import { strategyOf } from '../../policies/strategies';
import { belongs } from './files';

/** Of the rows `t` for which `where` is true; `using`: what they are joined to. */
export function change(policy: Policy, where: Sql, returning: Sql, using?: Sql): Sql {
  const { stays } = strategyOf(policy);
  const t = sql`only ${tableId(policy.table)} t`;
  if (stays === null)
    return sql`delete from ${t}${using ? sql` using ${using}` : empty} where ${where} returning ${returning}`;
  const changes = list(...stays.changes.map(({ column, to }) => sql`${id(column)} = ${to}`));
  return sql`update ${t} set ${changes} where ${where} returning ${returning}`;
}

/** Rows `d` of a table that go along: those that `using` is joined to by `where`. */
export const changeAlong = (of: TableName, using: Sql, where: Sql, returning: Sql): Sql =>
  sql`delete from ${tableId(of)} d using ${using} where ${where} returning ${returning}`;

/** Rows `d` of a table that stay and lose references: those at `k(o, c)`. */
export const detachAt = (of: TableName, changes: Sql, k: Sql, returning: Sql): Sql =>
  sql`update ${tableId(of)} d set ${changes} from ${k} where d.tableoid = k.o and d.ctid = k.c returning ${returning}`;

/** Takes the reference away from the rows `d` that refer to the rows `t` for which `where` is true. */
export const detachChildren = (d: Dependant, policy: Policy, where: Sql, returning: Sql): Sql =>
  sql`update ${tableId(d.table)} d set ${list(...clearedColumns(d).map((c) => sql`${id(c)} = null`))}
    from only ${tableId(policy.table)} t where ${where} and ${belongs(d, policy)} returning ${returning}`;

/** The same of one row `t` and of every reference of one table: a row is changed but once by a statement. */
export function detachFromOne(same: readonly [Dependant, ...Dependant[]], policy: Policy, where: Sql): Sql {
  const columns = [...new Set(same.flatMap(clearedColumns))].map((column) => {
    const names = anyOf(
      ...same.filter((d) => clearedColumns(d).includes(column)).map((d) => belongs(d, policy)),
    );
    return sql`${id(column)} = case when ${names} then null else ${id('d', column)} end`;
  });
  const isSelf = table(same[0].table) === table(policy.table);
  return sql`update ${tableId(same[0].table)} d set ${list(...columns)} from only ${tableId(policy.table)} t
    where ${where} and ${allOf(anyOf(...same.map((d) => belongs(d, policy))), isSelf && sql`d.ctid <> t.ctid`)}`;
}

/** Contents `d` of a table: those that `using` is joined to by `where`. */
export const changeContent = (c: Content, using: Sql, where: Sql, returning: Sql): Sql =>
  sql`delete from only ${tableId(c.table)} d using ${using} where ${where} returning ${returning}`;
