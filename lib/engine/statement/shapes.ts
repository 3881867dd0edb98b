/**
 * The shapes a batch can have. Which one is decided here, once; the deleting statement itself (deleting.ts) is the same
 * for all of them.
 *
 * - range: a range of blocks, whose rows the deletion itself finds, judges and locks.
 * - places: rows are picked, judged and locked first, in the same statement, and deleted by their place.
 * - locked: the same, but they are locked in a statement of its own, so that the deleting one sees every child that
 *   exists: a locked parent gets no new ones (DELETION §2).
 */
import { allOf, cte, raw, type Sql, sql, tableId, typed, withParts } from '../../platform/sql';
import { goingDependants, rowsLeave } from '../../policies/going';
import { unindexed, withinBlocks } from './heap';
import { cutShort, progress, REASONS } from './pick';
import { held, mayGo, staysBecause } from './predicate';
import { type Batch, token } from './request';

/** All in which they differ. */
export interface Shape {
  /** A statement of its own, sent before the deleting one. */
  readonly first?: Sql;
  /** Parts in front of the deletion. */
  readonly lead: readonly Sql[];
  /** Which rows `t` go. */
  readonly rows: Sql;
  /** How many were judged and locked; `x` are the totals of what went. */
  readonly locked: Sql;
  /** Parts up to `seen(picked, kept, after)`, which has one row; may read `totals`. */
  readonly seen: readonly Sql[];
}

export function shapeOf(b: Batch): Shape {
  const { blocks, policy } = b.request;
  const hasDependants = goingDependants(policy).length > 0;
  if (hasDependants) return lockedBefore(b);
  return blocks && !blocks.skipLocked && rowsLeave(policy) ? range(b) : places(b);
}

/**
 * A block range without dependants needs no locks taken first: the delete itself carries the whole predicate,
 * and PostgreSQL judges it again on any version that is newer than the one it saw (DELETION §2).
 */
const range = (b: Batch): Shape => ({
  lead: [],
  rows: allOf(withinBlocks(b.request.blocks!), token(b), unindexed(mayGo(b.walk))),
  locked: sql`x.deleted`,
  seen: [seenInBlocks(b, sql`deleted::int`, 'totals')],
});

/** Rows that part `locked` has locked. */
export const LOCKED_ROWS = {
  rows: sql`t.ctid = any(array(select c from locked))`,
  locked: sql`(select count(*) from locked)`,
};

const places = (b: Batch): Shape => ({ ...LOCKED_ROWS, lead: pickAndLock(b), seen: seen(b) });

const lockedBefore = (b: Batch): Shape => ({
  ...LOCKED_ROWS,
  first: sql`${withParts(...pickAndLock(b), ...seen(b))}
  select set_config('lapse.rows', coalesce((select array_agg(c)::text from locked), '{}'), true),
    set_config('lapse.labels', coalesce((select array_agg(label)::text from locked), '{}'), true),
    set_config('lapse.seen', (select to_jsonb(seen)::text from seen), true)`,
  lead: [lockedAgain(b)],
  seen: [SEEN_BEFORE],
});

/** A child with a held owner may have come after its parent was locked. */
const lockedAgain = (b: Batch): Sql =>
  cte(
    'locked',
    sql`
    select t.ctid as c, l.label from only ${tableId(b.policy.table)} t
    join unnest(${LOCKED_PLACES}, current_setting('lapse.labels')::text[]) l(c, label) on l.c = t.ctid
    where t.ctid = any(${LOCKED_PLACES}) and ${token(b)} and not ${held(b.policy)}
  `,
    true,
  );

/** What the statement before has locked. */
export const LOCKED_PLACES = sql`current_setting('lapse.rows')::tid[]`;

const SEEN_BEFORE = cte(
  'seen',
  sql`
    select s.picked, s.kept, s.after from jsonb_to_record(current_setting('lapse.seen')::jsonb) s(picked int, kept jsonb, after jsonb)
  `,
  true,
);

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
    return [lock(allOf(withinBlocks(request.blocks), token(b), unindexed(mayGo(walk))))];
  }
  const first =
    request.most === undefined
      ? sql``
      : sql`order by ${walk.order} limit ${typed(request.most, 'bigint')}\n    `;
  return [
    ...walk.picked(request.position, request.limit),
    lock(allOf(sql`t.ctid = any(array(select c from picked))`, token(b), mayGo(walk)), first),
  ];
}

/** What was looked at, why the others stay, and where the leg continues. */
function seen(b: Batch): Sql[] {
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
const stayed = ({ walk }: Batch, looked: string): Sql =>
  cte(
    'stayed',
    sql`
    select coalesce(${staysBecause(walk)}, 'busy') as reason, count(*) as n
    from ${walk.rows}
    where (select picked from at) <> (select count(*) from locked)
      and t.ctid = any(array(select c from ${raw(looked)} except all select c from locked))
    group by 1
  `,
    true,
  );

/** What stays is counted by the index sweep that follows every heap walk. */
function seenInBlocks({ request }: Batch, picked: Sql, of: 'totals' | 'locked'): Sql {
  const blocks = request.blocks!;
  const after = { ended: blocks.to >= blocks.end, clock: null, key: [], block: blocks.to };
  return cte(
    'seen',
    sql`
    select ${picked} as picked, '{}'::jsonb as kept, ${typed(JSON.stringify(after), 'jsonb')} as after from ${raw(of)}
  `,
    true,
  );
}
