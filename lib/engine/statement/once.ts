/**
 * A row that hangs on several rows that go is counted once by a dry run, wherever those lie: on another page, under another rule, in
 * another partition. It is counted with the last of them by key, so each page knows by itself which it counts.
 */
import { allOf, cte, list, type Sql, sql, tableId } from '../../platform/sql';
import type { Policy } from '../../policies/contract';
import { treeOf } from '../../policies/tree';
import { furtherUp } from './above';
import { keyOf } from './legs/columns';
import { source } from './predicate';

/**
 * Whether a row below may hang on several governed ones. Of rows that wait for notices it is not asked: whether those elsewhere
 * were told in time only their own page knows.
 */
export function mayHangOnSeveral(policy: Policy): boolean {
  const { branches, isCircular } = treeOf(policy);
  const isForked = new Set(branches.map((b) => b.place)).size < branches.length;
  return (isCircular || isForked) && policy.notice?.requiredDays === undefined;
}

/** Part `counted(n, o, c, r)`: of part `hanging(n, o, c, r)` each row once, where no row that goes elsewhere has it, by `goes` on rows `t`. */
export function countedOnce(policy: Policy, declared: Policy, goes: Sql): Sql {
  const here = list(...keyOf(policy, 'g'));
  const there = list(...keyOf(policy));
  return cte(
    'counted',
    sql`
    select x.n, x.o, x.c, x.r from (
      select distinct on (h.n, h.o, h.c) h.*, j.c as place from hanging h
        join judged j on j.n = h.r join only ${tableId(policy.table)} g on g.ctid = j.c
      order by h.n, h.o, h.c, ${list(...keyOf(policy, 'g').map((column) => sql`${column} desc`))}
    ) x join only ${tableId(policy.table)} g on g.ctid = x.place
    where x.n = 0 or not exists (
      select 1 from ${nearestAbove(declared)} u
        cross join lateral (select t.* from ${source(declared)} t where t.tableoid = u.o and t.ctid = u.c offset 0) t
      where ${allOf(sql`(${there}) > (${here})`, goes)}
    )
  `,
    true,
  );
}

/** Relation `(o, c)`: the governed rows that row `x(n, o, c)` hangs on; not those that these hang on themselves, each of which is judged by itself. */
const nearestAbove = (policy: Policy): Sql => sql`(with recursive u(n, o, c) as (
        select x.n, x.o, x.c
        union
        select y.n, y.o, y.c from u cross join lateral (${furtherUp(policy)}) y where u.n > 0
      ) select o, c from u where n = 0)`;
