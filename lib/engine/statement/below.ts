/**
 * What lies below a row, at any depth: the rows of every place of the policy's tree that go with it. In a tree without circles
 * it is asked branch by branch, so that the first row found is enough; where rows may refer to themselves, level by level, each
 * row once by its place, so that circles end.
 */
import {
  allOf,
  anyOf,
  empty,
  id,
  list,
  raw,
  type Sql,
  sql,
  type TableName,
  tableId,
  united,
} from '../../platform/sql';
import type { Dependant, Policy } from '../../policies/contract';
import { type Place, type Tree, treeOf } from '../../policies/tree';
import { belongs } from './files';

/** What is asked of a row of a place under this alias; null: nothing. */
export type Asked = (place: Place, alias: string) => Sql | null;

/**
 * Whether there is a row of which `joined` is true, and `asked` if given. Both of one row at a time, by index: joined to others, the
 * planner may begin with all rows of the lowest table, or with all that is held.
 */
export const existsOne = (from: Sql, joined: Sql, asked?: Sql): Sql =>
  sql`exists (select 1 from ${from} where ${allOf(joined, asked && sql`${asked} is true`)} offset 0)`;

/** Whether it is true of any row below `t`; null where nothing is asked. */
export function anyBelow(policy: Policy, asked: Asked): Sql | null {
  const tree = treeOf(policy);
  if (tree.isCircular) return anyInCircles(tree, policy, asked);
  const under = (parent: Place, alias: string, depth: number): Sql[] =>
    tree.branches
      .filter((b) => b.from === parent)
      .flatMap(({ declared, place }) => {
        const d = depth === 1 ? 'd' : `d${depth}`;
        const found = given([asked(place, d), ...under(place, d, depth + 1)]);
        if (found.length === 0) return [];
        const isOne = found.length === 1 ? found[0] : anyOf(...found);
        return [
          existsOne(sql`${tableId(place.table)} ${raw(d)}`, belongs(declared, policy, d, alias), isOne),
        ];
      });
  const found = under(tree.places[0]!, 't', 1);
  return found.length < 2 ? (found[0] ?? null) : anyOf(...found);
}

const given = (parts: readonly (Sql | null)[]): Sql[] => parts.filter((p) => p !== null);

function anyInCircles(tree: Tree, policy: Policy, asked: Asked): Sql | null {
  const found = given(
    tree.places.map((place) => {
      const isOne = asked(place, 'd');
      return isOne && isAt(place, isOne);
    }),
  );
  return found.length === 0
    ? null
    : sql`exists (select 1 from ${rowsBelow(policy)} b where ${anyOf(...found)})`;
}

/** What is asked of a row of a place, question by question, each with what a `true` is called. */
export type Questions = (
  place: Place,
  alias: string,
) => readonly { readonly called: Sql; readonly is: Sql }[];

/** What the first question is called that is true of any row below `t`, in the order of the places; null where nothing is asked. */
export function firstBelow(policy: Policy, questions: Questions): Sql | null {
  const tree = treeOf(policy);
  const all = tree.places.flatMap((place) =>
    questions(place, 'd').map(({ called, is }, i) => ({ place, called, is, i })),
  );
  if (tree.isCircular) return all.length === 0 ? null : firstInCircles(policy, all);
  const whens = all.flatMap(({ place, called, i }) => {
    const isAny = anyBelow(policy, (p, alias) => (p === place ? questions(p, alias)[i]!.is : null));
    return isAny ? [sql` when ${isAny} then ${called}`] : [];
  });
  return whens.length === 0 ? null : sql`case${joined(whens)} end`;
}

function firstInCircles(
  policy: Policy,
  all: readonly { readonly place: Place; readonly called: Sql; readonly is: Sql }[],
): Sql {
  const whens = all.map(({ place, is }, i) => sql` when ${isAt(place, is)} then ${raw(String(i + 1))}`);
  return sql`(select (array[${list(...all.map((x) => x.called))}])[min(case${joined(whens)} end)] from ${rowsBelow(policy)} b)`;
}

/** Whether row `b(n, o, c)` is one of this place of which `is` is true. */
const isAt = (place: Place, is: Sql): Sql =>
  sql`(b.n = ${number(place)} and exists (select 1 from ${tableId(place.table)} d where d.tableoid = b.o and d.ctid = b.c and ${is}))`;

const joined = (parts: readonly Sql[]): Sql => parts.reduce((all, next) => sql`${all}${next}`, empty);

export const number = (place: Place): Sql => raw(String(place.n));

/** Relation `(n, o, c)`: the place in the tree, the table and the place in it of each row below `t`. */
export function rowsBelow(policy: Policy): Sql {
  const { branches } = treeOf(policy);
  const first = branches
    .filter((b) => b.from.n === 0)
    .map(
      (b) =>
        sql`select ${number(b.place)} as n, d.tableoid as o, d.ctid as c from ${tableId(b.place.table)} d where ${belongs(b.declared, policy)}`,
    );
  return sql`(with recursive b(n, o, c) as (${united(first)}
      union
      select x.n, x.o, x.c from b cross join lateral (${furtherDown(policy)}) x
    ) select n, o, c from b)`;
}

/** What refers to the rows of `b(n, o, c)`, branch by branch; `of`: a column of theirs that is handed on. */
export const furtherDown = (policy: Policy, of?: Sql): Sql =>
  united(
    treeOf(policy).branches.map(
      ({ declared, from, place }) =>
        sql`select ${list(sql`${number(place)} as n, d.o, d.c`, of && sql`b.${of}`)} from (select 1) one ${parentOf(from, 'b')}
        ${childrenOf(declared, place.table, policy, sql`offset 0`)} where b.n = ${number(from)}`,
    ),
  );

/** The row `p` that stands at `x.o`, `x.c`: by its place, whatever the planner thinks of their number. */
export const parentOf = (from: Place, x: string): Sql =>
  sql`cross join lateral (select p.* from ${tableId(from.table)} p where p.tableoid = ${id(x, 'o')} and p.ctid = ${id(x, 'c')} offset 0) p`;

/** The rows `d(o, c)` that refer to row `p`: by their index, a row of `p` after the other. */
export const childrenOf = (declared: Dependant, of: TableName, policy: Policy, then: Sql): Sql =>
  sql`cross join lateral (select d.tableoid as o, d.ctid as c from ${tableId(of)} d where ${belongs(declared, policy, 'd', 'p')} ${then}) d`;
