/**
 * What an archive asks of the batch that deletes what it holds: each row, of every level, is in it, in the very version that is
 * there now, and nothing that it holds below a row is missing there. A version is known by the transaction that wrote it (xmin):
 * an update makes another one, also when nothing in it differs, and under the row's lock PostgreSQL asks again of the newest.
 *
 * Where a row is reached in one way only, each governed row answers for what is below it. Where it may be reached in several,
 * or is one of those that a larger one is taken apart into, all that was archived goes, or nothing.
 */
import {
  allOf,
  anyOf,
  cte,
  empty,
  id,
  keyAsText,
  type Sql,
  sql,
  tableId,
  typed,
  united,
  withParts,
} from '../../platform/sql';
import type { Policy } from '../../policies/contract';
import { placeOf, treeOf } from '../../policies/tree';
import { number } from './below';
import type { Archived, Batch } from './request';
import type { Along, Shape } from './shapes/shape';
import { TREE_LEFT } from './shapes/tree-left';

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

/** Part `known(n, key, version)`: every archived row that goes, by its place in the tree. */
const known = ({ rows: { n, keys, versions } }: Archived): Sql =>
  cte(
    'known',
    sql`select * from unnest(${typed(n.map(String), 'int[]')}, ${typed([...keys], 'text[]')}, ${typed([...versions], 'text[]')}) k(n, key, version)`,
    true,
  );

/** Part `expected(key, n)`: how many rows go with each governed one, where each answers for its own. */
const expected = (below: NonNullable<Archived['below']>): Sql =>
  cte('expected', sql`select e.key, e.n::bigint from jsonb_each_text(${among(below)}) e(key, n)`, true);

/** Part `found(n, r, key, version)`: the rows that the walk has found, each with the governed one it was found below. */
const found = (policy: Policy): Sql =>
  cte(
    'found',
    united(
      treeOf(policy).places.map(
        (place) => sql`select x.n, x.r, y.key, y.version from ${TREE_LEFT} cross join lateral (
        select ${keyAsText('p', place.key)} as key, ${versionOf('p')} as version from ${tableId(place.table)} p
        where p.tableoid = x.o and p.ctid = x.c offset 0) y where x.n = ${number(place)}`,
      ),
    ),
    true,
  );

const ALIKE = cte(
  'alike',
  sql`select f.n, f.r from found f join known k on k.n = f.n and k.key = f.key and k.version = f.version`,
  true,
);

/**
 * After the walk down, in a statement that sees all that was locked: a row whose dependants are not the archived ones stays,
 * and is counted as changed. Null where nothing is archived.
 */
export function leavesChanged({ request: { archived }, policy }: Batch, places: Sql): Sql | null {
  if (archived === undefined) return null;
  const { below } = archived;
  const unlike = below === null ? notAll(archived, places) : notItsOwn(places);
  const parts = withParts(
    known(archived),
    below && expected(below),
    found(policy),
    ALIKE,
    cte('unlike', unlike, true),
    cte(
      'staying',
      sql`select l.c, l.label from unnest(${places}, nullif(current_setting('lapse.labels', true), '')::text[]) l(c, label)
      where l.c not in (select c from unlike)`,
      true,
    ),
  );
  return sql`${parts}select set_config('lapse.seen', jsonb_set(s.seen, '{kept}', s.seen -> 'kept' || case when u.n = 0 then '{}' else
      jsonb_build_object('changed', coalesce((s.seen #>> '{kept,changed}')::bigint, 0) + u.n) end)::text, true),
    set_config('lapse.labels', coalesce((select array_agg(label)::text from staying), '{}'), true),
    set_config('lapse.rows', coalesce((select array_agg(c)::text from staying), '{}'), true),
    ${leftForNext(archived)}
  from (select current_setting('lapse.seen')::jsonb as seen) s cross join (select count(*) as n from unlike) u`;
}

/** What is no longer what was archived is stepped over; of a row that is taken apart the next batch reads it again. */
const leftForNext = ({ below, isPart }: Archived): Sql =>
  below === null && !isPart
    ? sql`set_config('lapse.state', case when u.n = 0 then current_setting('lapse.state') else 'whole' end, true)`
    : sql`current_setting('lapse.state')`;

const notAll = ({ rows }: Archived, places: Sql): Sql => {
  const all = typed(rows.n.length, 'bigint');
  return sql`select u.c from unnest(${places}) u(c)
      where ${anyOf(sql`(select count(*) from found) <> ${all}`, sql`(select count(*) from alike) <> ${all}`)}`;
};

const notItsOwn = (places: Sql): Sql => {
  const below = (part: Sql) => sql`(select x.r, count(*) as n from ${part} x where x.n > 0 group by x.r)`;
  const unequal = (alias: string) => sql`coalesce(${id(alias, 'n')}, 0) <> coalesce(e.n, 0)`;
  return sql`select u.c from unnest(${places}) u(c) join found own on own.n = 0 and own.r = u.c
      left join expected e on e.key = own.key left join ${below(sql`found`)} f on f.r = u.c left join ${below(sql`alike`)} a on a.r = u.c
      where ${anyOf(unequal('f'), unequal('a'))}`;
};

/**
 * Parts up to `unlike`, one row: raises unless the rows that went along, parts `d0` …, are those that were archived of the rows
 * that went. One of the lowest, which are not locked before, that was changed or removed since the look is found here only.
 */
export function unlikeAlong(
  { request: { archived }, policy }: Batch,
  { along = [], locked }: Pick<Shape, 'along' | 'locked'>,
): Sql[] {
  if (archived === undefined || along.length === 0) return [];
  const { below } = archived;
  const went = (a: Along, i: number) =>
    sql`select ${number(placeOf(policy, a.place.table)!)} as n, key, version from ${id(`d${i}`)}`;
  const isKnown = allOf(sql`k.n = w.n`, sql`k.key = w.key`, sql`k.version = w.version`);
  const strange = sql`(select count(*) from went w where not exists (select 1 from known k where ${isKnown}))`;
  // A declared trigger may have kept some, which are counted as locked and not gone.
  const stayed = sql`(${locked} - (select count(*) from locked))`;
  const missing = sql`abs((select count(*) from went) + ${stayed} - (${below === null ? all(archived) : ITS_OWN}))`;
  // Where a trigger has kept a governed row, the receipt says so, and finds out which.
  const isAll = sql`(select count(*) from gone) = (select count(*) from locked)`;
  return [
    known(archived),
    ...(below === null ? [] : [expected(below)]),
    cte('went', united(along.map(went)), true),
    cte(
      'unlike',
      sql`select retention.refuse_unlike(case when ${isAll} then (${strange} + ${missing})::bigint else 0 end) as n`,
      true,
    ),
  ];
}

const ITS_OWN = sql`select coalesce(sum(e.n), 0) from expected e where e.key in (select g.key::text from gone g)`;

/** Of what goes as a whole or not at all: every archived row below the governed table, unless nothing goes. */
const all = ({ rows }: Archived): Sql =>
  sql`case when (select count(*) from went) + (select count(*) from gone) = 0 then 0 else ${typed(rows.n.filter((n) => n > 0).length, 'bigint')} end`;
