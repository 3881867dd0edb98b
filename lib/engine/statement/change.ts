/**
 * What a batch does to its rows: the one place that deletes. A row leaves its table only by the `delete` here, and stays,
 * changed, only by the `update`; everything else is said by its strategy (lib/policies/strategies).
 */
import { empty, id, list, type Sql, sql, tableId } from '../../platform/sql';
import type { Dependant, Policy } from '../../policies/contract';
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

/** The children `d` of the rows `t` for which `where` is true. */
export const changeChildren = (d: Dependant, policy: Policy, where: Sql, returning?: Sql): Sql =>
  sql`delete from ${tableId(d.table)} d using only ${tableId(policy.table)} t where ${where} and ${belongs(d, policy)}${
    returning ? sql` returning ${returning}` : empty
  }`;
