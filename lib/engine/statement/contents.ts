/**
 * Rows that the governed rows refer to, e.g. a document's data, and that go when nothing refers to them any more (fate
 * `with-last-reference`). Asked by the deleting statement alone, two lanes would each see the other's row, and the content would
 * stay forever. So it is locked first, in a statement of its own: who comes second steps over the rows that refer to it, and finds
 * them again with a snapshot that sees what the first has done. A locked row gets no new references.
 */
import { allOf, anyOf, cte, id, keyAsText, list, raw, type Sql, sql, tableId } from '../../platform/sql';
import type { Content, Policy } from '../../policies/contract';
import { contentsOf } from '../../policies/going';
import { changeContent } from './change';
import { bytesOf, fileColumns, type Owner, refersBy, refersTo } from './files';
import type { Leg } from './leg';
import { walkOf } from './legs';
import { keyOf } from './legs/columns';
import { lettingOut } from './letting-out';
import { mayGo } from './predicate';
import type { Batch } from './request';

const names = (content: Content): Sql[] => content.key.map((_, i) => raw(`k${i}`));
const keyColumns = (content: Content, alias: string): Sql[] => content.key.map((k) => id(alias, k.column));

/** `r(k0, …)`: what a row `t` refers to, once a reference. */
function referred(content: Content): Sql {
  const rows = content.references.map((r) => sql`(${list(...r.map((column) => id('t', column)))})`);
  return sql`(values ${list(...rows)}) r(${list(...names(content))})`;
}
const isWhole = (content: Content): Sql => allOf(...names(content).map((k) => sql`r.${k} is not null`));

/** Locks what the rows at `places` refer to, and lets out of them those whose content someone else has locked. */
export function lockingContents(b: Batch, places: Sql): Sql {
  const { policy } = b;
  const parts = contentsOf(policy).flatMap((content, i) => {
    const [wanted, locked] = [raw(`wanted${i}`), raw(`had${i}`)];
    const keys = list(...names(content));
    const own = sql`(${list(...keyColumns(content, 'd'))})`;
    const those = names(content).map((k) => sql`w.${k}`);
    return [
      cte(
        `wanted${i}`,
        sql`
      select t.ctid as c, r.* from only ${tableId(policy.table)} t cross join lateral ${referred(content)}
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
  const lost = contentsOf(policy).map((_, i) => raw(`lost${i}`));
  return lettingOut({ policy, places, parts, lost, why: sql`'busy'` });
}

/** Whether a row of another table, or another row of this one, still refers to content `d`: `others` says which count. */
function stillReferred(content: Content, policy: Policy, others: Sql): Sql {
  const own = content.references.map(
    (reference) =>
      sql`exists (select 1 from only ${tableId(policy.table)} o where ${refersBy(content, reference, 'o')} and ${others})`,
  );
  return anyOf(...own, ...sharing(content));
}

const sharing = (content: Content): Sql[] =>
  content.sharedWith.map(
    (s) => sql`exists (select 1 from ${tableId(s.table)} s where ${refersBy(content, s.columns, 's')})`,
  );

/** Parts `c0` … of the deleting statement: each content once, with the row that named it. */
export const contentsGone = (policy: Policy, rows: Sql, self: Owner): Sql[] =>
  contentsOf(policy).flatMap((content, i) => {
    const last = sql`not ${stillReferred(content, policy, sql`o.ctid not in (select c from locked)`)}`;
    const named = allOf(
      ...keyColumns(content, 'd').map((column, n) => sql`${column} = w.${names(content)[n]!}`),
      sql`t.ctid = w.place`,
      rows,
      last,
    );
    return [
      cte(
        `w${i}`,
        sql`
      select distinct on (${list(...names(content))}) r.*, t.ctid as place from only ${tableId(policy.table)} t cross join lateral ${referred(content)}
      where ${rows} and ${isWhole(content)} order by ${list(...names(content))}, t.ctid
    `,
        true,
      ),
      cte(
        `c${i}`,
        changeContent(
          content,
          policy,
          sql`${raw(`w${i}`)} w`,
          named,
          list(
            sql`t.ctid as c`,
            sql`${keyAsText('d', content.key)} as key`,
            sql`(${bytesOf('d', content.files)})::bigint as bytes`,
            fileColumns(content.files, [
              { alias: 'd', scope: content.scope, key: keyAsText('d', content.key) },
              self,
            ]),
          ),
        ),
      ),
    ];
  });

/**
 * Contents `d` that would go with row `t` of a dry run: nothing else refers to them but rows that go as well, and of these `t` is
 * the last by its key, so that each is counted once, wherever its rows lie in the walk.
 */
export function contentsWith(policy: Policy, content: Content, legs: readonly Leg[], asOf: string): Sql {
  const goes = anyOf(
    ...legs.map((leg) => {
      const w = walkOf(policy, leg, asOf);
      return mayGo({ ...w, past: w.takes, condition: null });
    }),
  );
  const later = sql`(${list(...keyOf(policy, 'o'))}) > (${list(...keyOf(policy))})`;
  const staying = content.references.map(
    (reference) =>
      sql`exists (select 1 from only ${tableId(policy.table)} t where ${refersBy(content, reference, 't')} and ${goes} is not true)`,
  );
  return sql`from only ${tableId(content.table)} d where ${allOf(
    refersTo(content),
    sql`not ${stillReferred(content, policy, later)}`,
    sql`not ${anyOf(...staying)}`,
  )}`;
}
