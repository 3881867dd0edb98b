/** What lies above a row of a policy's tree: the governed rows with which it would go, whichever way leads to them. */
import { allOf, anyOf, id, type Sql, sql, tableId, united } from '../../platform/sql';
import type { Policy } from '../../policies/contract';
import { type Place, treeOf } from '../../policies/tree';
import { number } from './below';
import { belongs } from './files';
import type { Leg } from './leg';
import { walkBeside } from './legs/beside';
import { mayGo } from './predicate';

/** Selects `what` of the governed rows `t` above row `alias` of a place for which `where` is true. */
export function rowsAbove(policy: Policy, place: Place, alias: string, what: Sql, where: Sql): Sql {
  const own = sql`${id(alias, 'tableoid')} = t.tableoid and ${id(alias, 'ctid')} = t.ctid`;
  const { branches } = treeOf(policy);
  const isTop = place.n === 0 && branches.every((b) => b.place.n > 0);
  const isAbove = isTop
    ? own
    : sql`(t.tableoid, t.ctid) in (
        with recursive u(n, o, c) as (
          select ${number(place)}, ${id(alias, 'tableoid')}, ${id(alias, 'ctid')}
          union
          select x.n, x.o, x.c from u cross join lateral (${furtherUp(policy)}) x
        ) select o, c from u where n = 0)`;
  return sql`select ${what} from ${tableId(policy.table)} t where ${allOf(isAbove, where)}`;
}

/** Whether a row `t` goes by any of these legs, whichever page of a dry run looks at it. */
export const goesInAny = (policy: Policy, legs: readonly Leg[], asOf: string): Sql =>
  anyOf(
    ...legs.map((leg) => {
      const w = walkBeside(policy, leg, legs, asOf);
      return mayGo({ ...w, past: w.takes, condition: null });
    }),
  );

/** What the rows of `u(n, o, c)` refer to, branch by branch. */
export const furtherUp = (policy: Policy): Sql =>
  united(
    treeOf(policy).branches.map(
      ({ declared, from, place }) =>
        sql`select ${number(from)} as n, q.o, q.c from (select 1) one
          cross join lateral (select d.* from ${tableId(place.table)} d where d.tableoid = u.o and d.ctid = u.c offset 0) d
          cross join lateral (select q.tableoid as o, q.ctid as c from ${tableId(from.table)} q where ${belongs(declared, policy, 'd', 'q')} offset 0) q
          where u.n = ${number(place)}`,
    ),
  );
