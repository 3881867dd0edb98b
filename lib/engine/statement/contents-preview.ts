/**
 * What the rows of a dry run would be the last to refer to. A content goes when every row that refers to it goes with some
 * governed row; it is counted with the last of these by its key, so that it is counted once wherever they lie in the walk.
 */
import { allOf, cte, id, keyAsText, list, type Sql, sql, tableId, united } from '../../platform/sql';
import { ending } from '../../policies/contents';
import type { Content, Policy } from '../../policies/contract';
import { goesInAny, rowsAbove } from './above';
import { keysNamedBy, sharing } from './contents';
import { bytesOf, filesOf, refersBy } from './files';
import { hashOfAll } from './hash-of';
import type { Leg } from './leg';

/** Part `c<i>(r, n, bytes, files, keys)` of a page, by the row they would go with. */
export function contentBy(
  policy: Policy,
  content: Content,
  i: number,
  legs: readonly Leg[],
  asOf: string,
): Sql {
  const goes = goesInAny(policy, legs, asOf);
  const references = ending(policy, content);
  const referring = (what: (above: (what: Sql) => Sql) => Sql) =>
    references.map(
      ({ place, columns }) =>
        sql`from ${tableId(place.table)} p ${what((w) => rowsAbove(policy, place, 'p', w, goes))} ${refersBy(content, columns, 'p')}`,
    );
  const roots = referring(
    (above) => sql`cross join lateral (${above(sql`${keyAsText('t', policy.key)} as k`)}) a where`,
  );
  const staysItself = referring((above) => sql`where not exists (${above(sql`1`)}) and`);
  const own = list(...content.key.map((k) => id('d', k.column)));
  const isLast = allOf(
    sql`(${own}) in (${keysNamedBy(policy, content, sql`below`)})`,
    ...sharing(policy, content).map((shared) => sql`not ${shared}`),
    ...staysItself.map((stays) => sql`not exists (select 1 ${stays})`),
  );
  return cte(
    `c${i}`,
    sql`
    select j.n as r, count(*) as n, coalesce(sum(${bytesOf('d', content.files)}), 0) as bytes, coalesce(sum(${filesOf('d', content.files)}), 0) as files,
      ${hashOfAll(keyAsText('d', content.key))} as keys
    from only ${tableId(content.table)} d
      cross join lateral (select max(y.k collate "C") as root from (${united(roots.map((r) => sql`select a.k ${r}`))}) y) x
      join judged j on j.key = x.root and j.stays is null
    where ${isLast} group by j.n
  `,
    true,
  );
}
