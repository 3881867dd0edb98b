/**
 * What a statement that walks has in common, whatever the leg: the rows looked at, where the walk continues, and why the
 * others stay. The cursor is taken from what was picked, never from what was deleted.
 */
import { cte, empty, id, list, type Sql, sql, typed } from '../../platform/sql';
import type { Walk } from './legs';
import { keyNames } from './legs/columns';

/**
 * Part `looked`, where no more than `most` of the picked rows may go: what was picked up to the last row that goes. What
 * lies behind it has not been judged, and is not behind the cursor.
 */
export const cutShort = (w: Walk, most: number): Sql[] => [
  cte(
    'placed',
    sql`
    select *, row_number() over (order by ${list(...w.columns)}) as place from picked
  `,
    true,
  ),
  cte(
    'looked',
    sql`
    select * from placed where place <= coalesce((
      select case when count(*) >= ${typed(most, 'bigint')} then max(x.place) end from placed x join locked l on l.c = x.c
    ), place)
  `,
    true,
  ),
];

/**
 * Part `at`, one row: `picked` (how many), `unknown` (tenants passed by whose label no rule has) and `after`,
 * the position to continue from, with `ended` when the leg has nothing behind it.
 */
export function progress(w: Walk, limit: number, looked: 'picked' | 'looked' = 'picked'): Sql {
  const relation = id(looked);
  const isCut = looked === 'looked' ? sql` or count(*) < (select count(*) from picked)` : empty;
  const backwards = list(...w.columns.map((c) => sql`${c} desc`));
  return at(
    w,
    sql`(select count(*)::int as n, (select count(*) from picked) >= ${typed(limit, 'int')}${isCut} as full_batch from ${relation})`,
    // Its columns become text only for the one row that counts.
    sql`(select * from ${relation} order by ${backwards} limit 1) y`,
  );
}

/** The same from `looked(n, full_batch)` and the last row that was looked at, if there is one. */
export function at(w: Walk, looked: Sql, last: Sql): Sql {
  const key = list(...keyNames(w.policy).map((k) => sql`${k}::text`));
  return cte(
    'at',
    sql`
    select x.n as picked, ${w.cursor.unknown} as unknown, ${w.cursor.after} as after
    from ${looked} x
    left join (
      select ${w.cursor.last}clk::text as clock, jsonb_build_array(${key}) as key from ${last}
    ) l on true${w.cursor.beside}
  `,
    true,
  );
}

/** Counts by reason as one jsonb, from rows `stayed(reason, n)`; tenants without a rule are counted beside them. */
export const REASONS = sql`coalesce((select jsonb_object_agg(reason, n) from stayed), '{}')
      || case when at.unknown > 0 then jsonb_build_object('unknown_rule', at.unknown) else '{}' end`;
