/**
 * The next rows of the index as one range, read once: by the delete itself. Where it ends is looked up first, in the same
 * snapshot, so that a batch is bounded by its size whatever is held, and the cursor comes from what was looked at.
 */
import { allOf, cte, literal, type Sql, sql, typed } from '../../../platform/sql';
import { staysBecause } from '../keeping';
import type { Range } from '../legs';
import { at, REASONS } from '../pick';
import { mayGo } from '../predicate';
import { type Batch, token } from '../request';
import type { Shape } from './shape';
import { WAITS_SHORTLY } from './waiting';

export const indexRange = (b: Batch, range: Range): Shape => ({
  settings: [WAITS_SHORTLY, ...PINNED],
  lead: range.lead,
  rows: allOf(range.within, token(b), mayGo(b.walk)),
  ...(range.using ? { using: range.using } : {}),
  labels: 'gone',
  locked: sql`x.deleted`,
  seen: [
    at(b.walk, looked(b, range), sql`last`),
    stayed(b, range),
    cte('seen', sql`select at.picked, ${REASONS} as kept, at.after from at`, true),
  ],
  instead: { when: 'busy', ask: { ...b.request, byRange: false } },
});

/**
 * How short the range is, the planner cannot know: it reckons with a third of all that is due, and would read the table
 * for it, and whole every other table that the condition asks. So a range of the index is the one plan that is left, and
 * others are asked row by row.
 */
const PINNED = ['enable_seqscan', 'enable_bitmapscan', 'enable_hashjoin', 'enable_mergejoin'].map(
  (name) => sql`set_config(${literal(name)}, 'off', true)`,
);

/** How many rows lie in the range, and whether it is as long as was asked for. */
const looked = ({ request }: Batch, { rest }: Range): Sql => sql`(
      select case when x.full_batch then ${typed(request.limit, 'int')} else ${rest} end as n, x.full_batch
      from (select exists (select 1 from last) as full_batch) x
    )`;

/** Looked at only when some stay. Of those that may go, as this statement sees them, what did not go is busy. */
function stayed({ walk }: Batch, { within, using }: Range): Sql {
  const inRange = sql`${within} and ${walk.due}`;
  // By their places the planner takes them for few, and asks other tables row by row here, too.
  const those = using ? inRange : sql`t.ctid = any(array(select t.ctid from ${walk.rows} where ${inRange}))`;
  return cte(
    'stayed',
    sql`
    select s.reason, s.n from totals x cross join lateral (
      select coalesce(y.reason, 'busy') as reason, y.n - case when y.reason is null then x.deleted else 0 end as n
      from (
        select ${staysBecause(walk)} as reason, count(*) as n from ${walk.rows}
        where (select picked from at) <> (select deleted from totals) and ${those}
        group by 1
      ) y
    ) s where s.n > 0
  `,
    true,
  );
}
