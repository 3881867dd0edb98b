/**
 * The same under lock, in a statement of its own between the lock on the rows that go and their deletion. What a row goes for is
 * that others of its group stay, so those are locked too (`for share`): nobody can delete them, or move their clock, or take them
 * out of the group, before the batch has ended. What others have locked is no such row, and the next one counts; a row that has
 * not enough of them before it stays this time. Rows of a group that come meanwhile make it larger, never smaller.
 */
import {
  allOf,
  constant,
  cte,
  empty,
  id,
  list,
  literal,
  raw,
  type Sql,
  sql,
  tableId,
} from '../../../platform/sql';
import type { Policy } from '../../../policies/contract';
import { type Rank, ranksOf } from '../../../policies/spared';
import { clockOf, keyNames, namedKey, wholeOf } from '../legs/columns';
import { lettingOut } from '../letting-out';
import type { Batch } from '../request';
import { inOrder, isLive, isOfGroup, periodOf, spared } from './judge';

const named = (rank: Rank): Sql[] => rank.per.map((_, i) => id(`p${i}`));

/** Clock and key under the names they have in the parts. */
const columnsOf = (alias: string, policy: Policy): Sql =>
  list(...[raw('clk'), ...keyNames(policy)].map((c) => sql`${raw(alias)}.${c}`));

/** Parts `need<i>` (the groups of the rows), `floor<i>` (the last locked one of those that stay) and `lost<i>` (rows not behind it). */
function settling(b: Batch, rank: Rank, i: number, places: Sql): Sql[] {
  const { policy, walk } = b;
  const [need, floor] = [raw(`need${i}`), raw(`floor${i}`)];
  const isLast = rank.which === 'last';
  const values = named(rank).map((p) => sql`g.${p}`);
  const others = sql`select ${list(sql`${clockOf(policy, 'n')} as clk`, ...namedOf(policy))} from ${wholeOf(policy)} n
        where ${isOfGroup(policy, rank, values, sql`g.q`)}
        order by ${inOrder(policy, 'n', isLast ? 'desc' : 'asc')} limit ${constant(rank.most)} for share skip locked`;
  const furthest = list(
    ...[raw('clk'), ...keyNames(policy)].map((c) => sql`x.${c} ${raw(isLast ? 'asc' : 'desc')}`),
  );
  const same = allOf(sql`f.q = n.q`, ...named(rank).map((p) => sql`f.${p} = n.${p}`));
  const isBehind = sql`(${columnsOf('n', policy)}) ${raw(isLast ? '<' : '>')} (${columnsOf('f', policy)})`;
  return [
    cte(
      `need${i}`,
      sql`
      select ${list(
        sql`t.ctid as c`,
        ...rank.per.map((column, p) => sql`${id('t', column)} as ${id(`p${p}`)}`),
        sql`${periodOf(policy, rank)} as q`,
        sql`${clockOf(policy)} as clk`,
        ...namedKey(policy),
      )} from only ${tableId(policy.table)} t where ${allOf(sql`t.ctid = any(${places})`, isLive(walk, rank))}
    `,
      true,
    ),
    cte(
      `floor${i}`,
      sql`
      select g.*, x.* from (select distinct ${list(...named(rank), raw('q'))} from ${need}) g cross join lateral (
        select x.*, count(*) over () as n from (${others}) x order by ${furthest} limit 1
      ) x
    `,
      true,
    ),
    cte(
      `lost${i}`,
      sql`
      select n.c from ${need} n left join ${floor} f on ${same} where (f.n >= ${constant(rank.most)} and ${isBehind}) is not true
    `,
    ),
  ];
}

const namedOf = (policy: Policy): Sql[] =>
  policy.key.map((k, i) => sql`${id('n', k.column)} as ${keyNames(policy)[i]!}`);

/** Leaves in `lapse.rows` what may go for certain, and counts the rest by why it stays. */
export function sparing(b: Batch, places: Sql): Sql {
  const { policy, walk } = b;
  const ranks = ranksOf(policy);
  const reasons = spared(walk).map(({ reason, is }) => sql` when ${is} then ${literal(reason)}`);
  const why = sql`case${reasons.reduce((all, r) => sql`${all}${r}`, empty)} else 'busy' end`;
  const parts = ranks.flatMap((rank, i) => settling(b, rank, i, places));
  return lettingOut({ policy, places, parts, lost: ranks.map((_, i) => raw(`lost${i}`)), why });
}
