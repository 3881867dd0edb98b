/** Rows are picked, judged and locked first, in the same statement, and deleted by their place. */
import { allOf, cte, raw, type Sql, sql, typed } from '../../../platform/sql';
import { asArchived, changedSince } from '../archived';
import { unindexed, withinBlocks } from '../heap';
import { staysBecause } from '../keeping';
import { cutShort, progress, REASONS } from '../pick';
import { mayGo } from '../predicate';
import { type Batch, token } from '../request';
import { seenInBlocks } from './blocks';
import type { Shape } from './shape';

/** Rows that part `locked` has locked. */
export const LOCKED_ROWS = {
  rows: sql`t.ctid = any(array(select c from locked))`,
  labels: 'locked' as const,
  locked: sql`(select count(*) from locked)`,
};

export const places = (b: Batch): Shape => ({ ...LOCKED_ROWS, lead: pickAndLock(b), seen: seen(b) });

/** Parts `picked` and `locked(c, label)`: the whole predicate is judged under the row's lock. */
export function pickAndLock(b: Batch): Sql[] {
  const { request, walk } = b;
  const lock = (where: Sql, first = sql``) =>
    cte(
      'locked',
      sql`
    select t.ctid as c, ${walk.label} as label from ${walk.rows}
    where ${where}
    ${first}for update of t skip locked
  `,
      true,
    );
  if (request.blocks) {
    return [lock(allOf(withinBlocks(request.blocks), token(b), unindexed(mayGo(walk)), asArchived(b)))];
  }
  const first =
    request.most === undefined
      ? sql``
      : sql`order by ${walk.order} limit ${typed(request.most, 'bigint')}\n    `;
  return [
    ...walk.picked(request.position, request.limit),
    lock(allOf(sql`t.ctid = any(array(select c from picked))`, token(b), mayGo(walk), asArchived(b)), first),
  ];
}

/** What was looked at, why the others stay, and where the leg continues. */
export function seen(b: Batch): Sql[] {
  const { request, walk } = b;
  if (request.blocks) return [seenInBlocks(b, sql`count(*)::int`, 'locked')];
  const looked = request.most === undefined ? 'picked' : 'looked';
  return [
    ...(request.most === undefined ? [] : cutShort(walk, request.most)),
    progress(walk, request.limit, looked),
    stayed(b, looked),
    cte('seen', sql`select at.picked, ${REASONS} as kept, at.after from at`, true),
  ];
}

/** Rows that stay are looked at again only when there are any; what may go and is not locked is busy. */
const stayed = (b: Batch, looked: string): Sql =>
  cte(
    'stayed',
    sql`
    select coalesce(${staysBecause(b.walk)}, ${changedSince(b)}'busy') as reason, count(*) as n
    from ${b.walk.rows}
    where (select picked from at) <> (select count(*) from locked)
      and t.ctid = any(array(select c from ${raw(looked)} except all select c from locked))
    group by 1
  `,
    true,
  );
