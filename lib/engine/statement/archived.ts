/**
 * What an archive asks of the batch that deletes what it holds: each row, and each row that goes along, is in it, in the very
 * version that is there now. A version is known by the transaction that wrote it (xmin): an update makes another one, also
 * when nothing in it differs, and under the row's lock PostgreSQL asks again of the newest version.
 */
import {
  cte,
  empty,
  id,
  keyAsText,
  list,
  type Sql,
  sql,
  summed,
  tableId,
  typed,
  united,
} from '../../platform/sql';
import type { Dependant, Policy } from '../../policies/contract';
import { goingDependants, mayStay } from '../../policies/going';
import { belongs } from './files';
import type { Archived, Batch } from './request';

/** The version of a row. */
export const versionOf = (alias: string): Sql => sql`${id(alias)}.xmin::text`;

const among = (known: Readonly<Record<string, unknown>>): Sql => typed(JSON.stringify(known), 'jsonb');

/** Whether row `t` is as it was archived; null where the policy archives nothing. */
export function asArchived({ strategy, request, policy }: Batch): Sql | null {
  if (strategy.archive === null) return null;
  const { archived } = request;
  if (archived === undefined) return sql`false`;
  return sql`(${among(archived.versions)} ->> ${keyAsText('t', policy.key)} = ${versionOf('t')})`;
}

/** The reason beside those of the policy why a row stays. */
export function changedSince(b: Batch): Sql {
  const same = asArchived(b);
  return same === null ? empty : sql`case when ${same} is not true then 'changed' end, `;
}

/** In the transaction of the batch, before it looks: notes the archive that its receipt will name. */
export function namesArchive({ request: { archived, runId, seq } }: Batch): Sql | null {
  if (archived === undefined) return null;
  const facts = typed(JSON.stringify(archived.facts), 'jsonb');
  // No row is locked yet: the time it takes is not the batch's.
  return sql`select retention.name_archive(${archived.id}::uuid, ${runId}::uuid, ${seq}::int, ${facts}),
    set_config('lapse.entered', clock_timestamp()::text, true)`;
}

/**
 * After the rows were locked, in a statement that sees all that goes along: a row whose dependants are not the archived
 * ones stays, and is counted as changed. Null where nothing is archived.
 */
export function leavesChanged(b: Batch, places: Sql): Sql | null {
  const { archived } = b.request;
  const { policy } = b;
  if (archived === undefined || goingDependants(policy).length === 0) return null;
  const own = keyAsText('t', policy.key);
  const unlike = goingDependants(policy).map((d, i) => {
    const { counts, versions } = archived.children[i]!;
    return sql`select t.ctid as c from only ${tableId(policy.table)} t cross join lateral (${lookedAt(d, policy, versions)}) x
      where t.ctid = any(${places}) and (x.n <> x.same or x.n <> coalesce((${among(counts)} ->> ${own})::bigint, 0))`;
  });
  return sql`with unlike as materialized (select distinct u.c from (${united(unlike)}) u),
    staying as materialized (
      select l.c, l.label from unnest(${places}, nullif(current_setting('lapse.labels', true), '')::text[]) l(c, label)
      where l.c not in (select c from unlike)
    )
  select set_config('lapse.seen', jsonb_set(s.seen, '{kept}', s.seen -> 'kept' || case when u.n = 0 then '{}' else
      jsonb_build_object('changed', coalesce((s.seen #>> '{kept,changed}')::bigint, 0) + u.n) end)::text, true),
    set_config('lapse.labels', coalesce((select array_agg(label)::text from staying), '{}'), true),
    set_config('lapse.rows', coalesce((select array_agg(c)::text from staying), '{}'), true)
  from (select current_setting('lapse.seen')::jsonb as seen) s cross join (select count(*) as n from unlike) u`;
}

const lookedAt = (d: Dependant, policy: Policy, versions: Archived['versions']): Sql =>
  sql`select count(*) as n, count(*) filter (where ${among(versions)} ->> ${keyAsText('d', d.key)} = ${versionOf('d')}) as same
      from ${tableId(d.table)} d where ${belongs(d, policy)}`;

/**
 * Part `unlike`, one row: raises unless the rows that went along, parts `d0` …, are those that were archived of the rows that
 * went. One that was changed or removed since the look before is found here only. One that a trigger may have kept is no reason
 * yet: it refers to nothing then, which a foreign key or the count after says of the row that has to stay (`unlikeAfterwards`).
 */
export function unlikeAlong({ request: { archived }, policy }: Batch): Sql | null {
  const going = goingDependants(policy);
  if (archived === undefined || going.length === 0) return null;
  const other = going.map((_, i) => {
    const { versions } = archived.children[i]!;
    return sql`(select count(*) filter (where (${among(versions)} ->> x.key = x.version) is not true) from ${id(`d${i}`)} x)`;
  });
  const missing = (staying: boolean) =>
    going.flatMap((d, i) => {
      const expected = sql`select coalesce(sum((${among(archived.children[i]!.counts)} ->> g.key::text)::bigint), 0) from gone g`;
      return mayStay(d) === staying ? [sql`abs((select count(*) from ${id(`d${i}`)}) - (${expected}))`] : [];
    });
  // Where a trigger has kept a row, the receipt says so, and finds out which.
  const isAll = sql`(select count(*) from gone) = (select count(*) from locked)`;
  const now = (numbers: readonly Sql[]) =>
    sql`case when ${isAll} then (${summed(numbers)})::bigint else 0 end`;
  return cte(
    'unlike',
    sql`select ${list(
      sql`retention.refuse_unlike(${now([...other, ...missing(false)])}) as n`,
      going.some(mayStay) && sql`set_config('lapse.unlike', (${now(missing(true))})::text, true) as later`,
    )}`,
    true,
  );
}

/** After the count: raises where a row is missing that no trigger has kept; null where none may keep any. */
export const unlikeAfterwards = ({ request: { archived }, policy }: Batch): Sql | null =>
  archived !== undefined && goingDependants(policy).some(mayStay)
    ? sql`retention.refuse_unlike(coalesce(nullif(current_setting('lapse.unlike', true), ''), '0')::bigint) as unlike`
    : null;
