/**
 * The steps down a tree, as texts that the database executes level by level (migrations/functions/tree.sql): what refers to the
 * rows above is locked, or, where nothing lies below it, counted. What is archived is looked at by the same steps first, READ
 * ONLY and without locks; and the batch that deletes it lists what lies lowest instead of counting it, so that it can be compared.
 */
import { id, inlined, list, literal, raw, type Sql, sql, table, typed } from '../../../platform/sql';
import type { Policy } from '../../../policies/contract';
import { type Branch, isLeaf, treeOf } from '../../../policies/tree';
import { childrenOf, furtherDown, parentOf } from '../below';
import { type Batch, mostRowsOf } from '../request';

/** One row is taken apart at a time. */
export const isTakenApart = ({ request }: Batch): boolean => request.position?.apart === true;
export const picking = (b: Batch): Batch =>
  isTakenApart(b) ? { ...b, request: { ...b.request, most: 1 } } : b;

/**
 * Whether as few rows are expected below the picked ones as there were before. Then what has nothing below it is not counted before it goes,
 * which would cost as much as its deletion. The deleting statement itself counts it: were it more than a batch may take, or took
 * it too long, nothing goes, and the batch is asked again in the form that counts first.
 */
export const isTrusted = (b: Batch): boolean => b.request.rowsOfEach !== undefined && !isTakenApart(b);

/** How few rows go the planner cannot know: it would read whole tables for them, or keep rows at hand that are never asked for again. */
export const PINNED = ['enable_seqscan', 'enable_bitmapscan', 'enable_mergejoin', 'enable_memoize'].map(
  (name) => sql`set_config(${literal(name)}, 'off', true)`,
);

/** How a step treats the rows it finds: `delete`: locks them before they go. `read`: looks only. */
export type Walking = 'delete' | 'read';

/** Walks down from the rows of `lapse.rows` and leaves what it found. */
export function walking(b: Batch, why: Walking = 'delete'): Sql {
  const { policy, request } = b;
  const called = raw(isTakenApart(b) ? 'retention.take_apart' : 'retention.lock_tree');
  const isDeep = isTakenApart(b) && treeOf(policy).isCircular;
  return sql`${called}(${list(
    literal(table(policy.table)),
    typed(JSON.stringify(stepsOf(b, why)), 'jsonb'),
    typed(mostRowsOf(request), 'bigint'),
    isDeep && typed(inlined(down(policy)), 'text'),
  )})`;
}

/** All that lies below the row at `$1`, `$2`, each as often as rows refer to it that lie there, with one of those: at most `$3` of these. */
const down = (policy: Policy): Sql => sql`with recursive b(n, o, c, po, pc) as (
      select 0, $1::oid, $2::tid, null::oid, null::tid
      union
      select x.n, x.o, x.c, b.o, b.c from b cross join lateral (${furtherDown(policy)}) x
    ) select ${list(...['n', 'o', 'c', 'po', 'pc'].map((column) => sql`array_agg(${id('y', column)} order by y.o, y.c, y.po, y.pc)`))} from (select * from b limit $3) y`;

export const stepsOf = (b: Batch, why: Walking = 'delete'): object[] =>
  treeOf(b.policy)
    .branches.filter(({ place }) => !(isTrusted(b) && isLeaf(b.policy, place)))
    .map((branch) => step(b, branch, why));

/** One step downwards, as texts that the database executes: `$1`, `$2` and `$3` are the rows above, `$4` how many are wanted. */
function step({ policy, strategy }: Batch, { declared, from, place }: Branch, why: Walking): object {
  const { branches, isCircular } = treeOf(policy);
  const above = sql`unnest($1::oid[], $2::tid[], $3::tid[]) x(o, c, r) ${parentOf(from, 'x')}`;
  const found = (lock: Sql) =>
    inlined(sql`select array_agg(y.o), array_agg(y.c), array_agg(y.r) from (
      select d.o, d.c, x.r from ${above} ${childrenOf(declared, place.table, policy, sql`limit $4${lock}`)} limit $4) y`);
  const isLowest = isLeaf(policy, place);
  const look = found(sql``);
  // What is archived is listed whole. What lies lowest needs no lock: the deleting statement names its version.
  const isListed = strategy.archive !== null;
  const isOnlyRead = why === 'read' || (isListed && isLowest);
  return {
    from: from.n,
    to: place.n,
    table: table(place.table),
    leaf: isLowest && !isListed,
    lowest: isLowest,
    once: !isCircular && branches.filter((x) => x.place === place).length === 1,
    lock: isOnlyRead ? look : found(sql` for update`),
    look,
    count: inlined(
      sql`select count(*) from (select 1 from ${above} ${childrenOf(declared, place.table, policy, sql`limit $4`)} limit $4) y`,
    ),
  };
}
