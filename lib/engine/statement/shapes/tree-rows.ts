/** What the walk down a tree has left to the statements behind it. */
import { anyOf, cte, literal, type Sql, sql, tableId } from '../../../platform/sql';
import { treeOf } from '../../../policies/tree';
import { deadLettered, extended, held, referenced } from '../predicate';
import { type Batch, token } from '../request';
import { LOCKED_PLACES } from './locked';

/** Part `tree(n, o, c, r)`: every row that goes, as far as it was locked, and the governed row it goes with. */
export const treeOfRows = (b: Batch): Sql =>
  cte(
    'tree',
    sql`
    select x.n, x.o, x.c, x.r from unnest(${setting('tree_n')}::int[], ${setting('tree_o')}::oid[], ${setting('tree_c')}::tid[], ${setting('tree_r')}::tid[]) x(n, o, c, r)
    where ${token(b)} and x.r in (select c from clear)
  `,
    true,
  );
export const setting = (called: string): Sql =>
  sql`nullif(current_setting(${literal(`lapse.${called}`)}, true), '')`;

/**
 * Part `clear(c)`: the locked rows that nothing keeps which came below them before they were locked. Where rows may be reached
 * in several ways, none is, if one is not: what it was to take along might go with another.
 */
export function clear(b: Batch): Sql {
  const { walk, policy } = b;
  const grown = treeOf(policy);
  const isKept = anyOf(
    held(walk),
    walk.isExtendable && extended(policy, walk.asOf),
    deadLettered(policy, walk.asOf),
    (walk.locksFirst || grown.takesGoverned) && referenced(walk),
    policy.clock.orLaterIn && sql`(${walk.takes} is not true)`,
  );
  const those = (where: Sql) =>
    sql`select t.ctid as c from only ${tableId(policy.table)} t where t.ctid = any(${LOCKED_PLACES})${where}`;
  const isForked =
    grown.isCircular || new Set(grown.branches.map((x) => x.place)).size < grown.branches.length;
  return cte(
    'clear',
    isForked
      ? sql`${those(sql``)} and not exists (${those(sql` and ${isKept}`)})`
      : those(sql` and not ${isKept}`),
    true,
  );
}
