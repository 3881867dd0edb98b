/**
 * Rows that others refer to, e.g. a document's data or the address of each line of an order, and that go when nothing refers to
 * them any more (fate `with-last-reference`). Asked by the deleting statement alone, two lanes would each see the other's row, and
 * the content would stay forever. So it is locked first, in a statement of its own: who comes second sees what the first has done.
 * A locked row gets no new references.
 */
import {
  allOf,
  anyOf,
  cte,
  empty,
  id,
  keyAsText,
  list,
  raw,
  type Sql,
  sql,
  tableId,
  united,
  withParts,
} from '../../platform/sql';
import { contentsOf, ending, type LettingGo, staying } from '../../policies/contents';
import type { Content, Policy } from '../../policies/contract';
import { type Place, treeOf } from '../../policies/tree';
import { number } from './below';
import { changeContent } from './change';
import { bytesOf, fileColumns, type Owner, refersBy } from './files';
import { lettingOut } from './letting-out';
import type { Batch } from './request';
import type { Shape } from './shapes/shape';
import { TREE_LEFT } from './shapes/tree-left';

const names = (content: Content): Sql[] => content.key.map((_, i) => raw(`k${i}`));
const keyColumns = (content: Content, alias: string): Sql[] => content.key.map((k) => id(alias, k.column));

/** The references that the governed rows themselves let go of. */
const ofGoverned = (policy: Policy, content: Content): LettingGo[] =>
  ending(policy, content).filter((r) => r.place.n === 0);

/** `r(k0, …)`: what a row `alias` refers to, once a reference. */
function referred(content: Content, references: readonly LettingGo[], alias = 't'): Sql {
  const rows = references.map((r) => sql`(${list(...r.columns.map((column) => id(alias, column)))})`);
  return sql`(values ${list(...rows)}) r(${list(...names(content))})`;
}
const isWhole = (content: Content): Sql => allOf(...names(content).map((k) => sql`r.${k} is not null`));

/** Locks what the rows at `places` refer to, and lets out of them those whose content someone else has locked. */
export function lockingContents(b: Batch, places: Sql): Sql | null {
  const { policy } = b;
  const contents = contentsOf(policy).filter((content) => ofGoverned(policy, content).length > 0);
  if (contents.length === 0) return null;
  const parts = contents.flatMap((content, i) => {
    const [wanted, locked] = [raw(`wanted${i}`), raw(`had${i}`)];
    const keys = list(...names(content));
    const own = sql`(${list(...keyColumns(content, 'd'))})`;
    const those = names(content).map((k) => sql`w.${k}`);
    return [
      cte(
        `wanted${i}`,
        sql`
      select t.ctid as c, r.* from only ${tableId(policy.table)} t cross join lateral ${referred(content, ofGoverned(policy, content))}
      where t.ctid = any(${places}) and ${isWhole(content)}
    `,
        true,
      ),
      cte(
        `had${i}`,
        sql`
      select ${list(...content.key.map((k, n) => sql`${id('d', k.column)} as ${names(content)[n]!}`))} from only ${tableId(content.table)} d
      where ${own} in (select ${keys} from ${wanted}) for update skip locked
    `,
        true,
      ),
      cte(
        `lost${i}`,
        sql`
      select w.c from ${wanted} w where (${list(...those)}) not in (select ${keys} from ${locked})
        and exists (select 1 from only ${tableId(content.table)} d where ${own} = (${list(...those)}))
    `,
      ),
    ];
  });
  const lost = contents.map((_, i) => raw(`lost${i}`));
  return lettingOut({ policy, places, parts, lost, why: sql`'busy'` });
}

const takesGoverned = (policy: Policy): boolean => treeOf(policy).takesGoverned;

/** Rows that part `relation(n, o, c, …)` names, each with what it refers to: `t`, `r(k0, …)` and `x`, a line of the part. */
const namedBy = (relation: Sql, content: Content, { place, columns }: LettingGo): Sql =>
  sql`from ${relation} x cross join lateral (select t.* from ${tableId(place.table)} t where t.tableoid = x.o and t.ctid = x.c offset 0) t
        cross join lateral ${referred(content, [{ place, columns }])} where x.n = ${number(place)} and ${isWhole(content)}`;

/** Keys of what rows of part `relation(n, o, c, …)` refer to. */
export const keysNamedBy = (policy: Policy, content: Content, relation: Sql): Sql =>
  united(ending(policy, content).map((r) => sql`select r.* ${namedBy(relation, content, r)}`));

/**
 * After the walk down a tree: locks what its rows refer to, table by table in the order of the keys, and waits for it as the walk
 * waits for rows. None where only governed rows refer to contents, of which those that were picked have locked theirs.
 */
export const lockingContentsOfTree = ({ policy }: Batch): Sql[] =>
  contentsOf(policy)
    .filter((content) => takesGoverned(policy) || ending(policy, content).some((r) => r.place.n > 0))
    .map((content) => {
      const own = list(...keyColumns(content, 'd'));
      return sql`${withParts(cte('tree', sql`select x.* from ${TREE_LEFT}`))}select count(*) from (
    select 1 from only ${tableId(content.table)} d where (${own}) in (${keysNamedBy(policy, content, sql`tree`)}) order by ${own} for update) x`;
    });

/** Whether a row of another table, or another row of these, still refers to content `d`. */
function stillReferred(content: Content, policy: Policy, isGoing: (place: Place) => Sql): Sql {
  const own = ending(policy, content).map(
    ({ place, columns }) =>
      sql`exists (select 1 from ${place.n === 0 ? sql`only ` : empty}${tableId(place.table)} o where ${refersBy(content, columns, 'o')} and not ${isGoing(place)})`,
  );
  return anyOf(...own, ...sharing(policy, content));
}

/** What keeps content `d` here, whichever rows go. */
export const sharing = (policy: Policy, content: Content): Sql[] =>
  staying(policy, content).map(
    (s) => sql`exists (select 1 from ${tableId(s.table)} s where ${refersBy(content, s.columns, 's')})`,
  );

/** Whether row `o` of a place goes with this batch. */
const isGoing =
  (shape: Shape) =>
  (place: Place): Sql =>
    shape.hasTree
      ? sql`exists (select 1 from tree y where y.n = ${number(place)} and y.o = o.tableoid and y.c = o.ctid)`
      : sql`o.ctid in (select c from locked)`;

/** Each content that going rows refer to, once, with the place of the governed row it goes with. */
function named(policy: Policy, content: Content, shape: Shape): Sql {
  const keys = list(...names(content));
  const those = shape.hasTree
    ? united(
        ending(policy, content).map((r) => sql`select r.*, x.r as place ${namedBy(sql`tree`, content, r)}`),
      )
    : sql`select r.*, t.ctid as place from only ${tableId(policy.table)} t cross join lateral ${referred(content, ofGoverned(policy, content))}
      where ${shape.rows} and ${isWhole(content)}`;
  return sql`select distinct on (${keys}) r.* from (${those}) r order by ${keys}, r.place`;
}

/** Parts `c0` … of the deleting statement: each content once, with the row that named it. */
export const contentsGone = (policy: Policy, shape: Shape, self: Owner): Sql[] =>
  contentsOf(policy).flatMap((content, i) => [
    cte(`w${i}`, named(policy, content, shape), true),
    cte(
      `c${i}`,
      changeContent(
        content,
        sql`${raw(`w${i}`)} w cross join lateral (select t.* from only ${tableId(policy.table)} t where t.ctid = w.place offset 0) t`,
        allOf(
          ...keyColumns(content, 'd').map((column, n) => sql`${column} = w.${names(content)[n]!}`),
          sql`not ${stillReferred(content, policy, isGoing(shape))}`,
        ),
        list(
          sql`w.place as c`,
          sql`${keyAsText('d', content.key)} as key`,
          sql`(${bytesOf('d', content.files)})::bigint as bytes`,
          fileColumns(content.files, [
            { alias: 'd', scope: content.scope, key: keyAsText('d', content.key) },
            self,
          ]),
        ),
      ),
    ),
  ]);
