/**
 * As by places, but the rows are locked in a statement of its own, so that the deleting one sees every child that
 * exists: a locked parent gets no new ones (DELETION §2). For what is archived, and for erasures.
 */

import { allOf, cte, empty, list, type Sql, sql, tableId, withParts } from '../../../platform/sql';
import { goingDependants } from '../../../policies/going';
import { leavesChanged } from '../archived';
import { belongs } from '../files';
import { held, referenced } from '../predicate';
import { type Batch, token } from '../request';
import { LOCKED_ROWS, pickAndLock, seen } from './places';
import type { Shape } from './shape';

export const locked = (b: Batch): Shape => ({
  ...LOCKED_ROWS,
  first: lockFirst(b),
  second: leavesChanged(b, LOCKED_PLACES),
  lead: [lockedAgain(b)],
  along: goingDependants(b.policy).map((d) => ({
    place: d,
    using: sql`only ${tableId(b.policy.table)} t`,
    where: allOf(LOCKED_ROWS.rows, belongs(d, b.policy)),
    root: sql`t.ctid`,
  })),
  seen: [SEEN_BEFORE],
});

/** Picks, judges and locks, and leaves what it found to the next statement. */
export const lockFirst = (b: Batch): Sql => sql`${withParts(...pickAndLock(b), ...seen(b))}
  select ${list(
    sql`set_config('lapse.rows', coalesce((select array_agg(c)::text from locked), '{}'), true)`,
    b.walk.ownLabel === null &&
      sql`set_config('lapse.labels', coalesce((select array_agg(label)::text from locked), '{}'), true)`,
    sql`set_config('lapse.seen', (select to_jsonb(seen)::text from seen), true)`,
  )}`;

/** A child with a held owner, one that keeps the row here or makes it young again, may have come before its parent was locked. */
export function lockedAgain(b: Batch): Sql {
  const { walk } = b;
  const each = walk.ownLabel === null;
  const labels = each
    ? sql`
    join unnest(${LOCKED_PLACES}, current_setting('lapse.labels')::text[]) l(c, label) on l.c = t.ctid`
    : empty;
  const isFree = allOf(
    sql`not ${held(b.walk)}`,
    b.walk.locksFirst && sql`not ${referenced(b.walk)}`,
    b.policy.clock.orLaterIn && walk.takes,
  );
  return cte(
    'locked',
    sql`
    select t.ctid as c, ${each ? sql`l.label` : walk.label} as label from only ${tableId(b.policy.table)} t${labels}
    where t.ctid = any(${LOCKED_PLACES}) and ${token(b)} and ${isFree}
  `,
    true,
  );
}

/** What the statement before has locked. */
export const LOCKED_PLACES = sql`current_setting('lapse.rows')::tid[]`;

const SEEN_BEFORE = cte(
  'seen',
  sql`
    select s.picked, s.kept, s.after from jsonb_to_record(current_setting('lapse.seen')::jsonb) s(picked int, kept jsonb, after jsonb)
  `,
  true,
);
