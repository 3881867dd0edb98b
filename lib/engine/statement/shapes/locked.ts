/**
 * As by places, but the rows are locked in a statement of its own, so that the deleting one sees everything that refers to
 * them: a locked row gets no new references (DELETION §2). Of rows that others go with it is the first statement (tree.ts).
 */

import { allOf, anyOf, cte, empty, list, type Sql, sql, tableId, withParts } from '../../../platform/sql';
import type { Dependant } from '../../../policies/contract';
import { treeOf } from '../../../policies/tree';
import { belongs } from '../files';
import { deadLettered, extended, held, referenced } from '../predicate';
import { type Batch, token } from '../request';
import { LOCKED_ROWS, pickAndLock, seen } from './places';
import type { Along, Shape } from './shape';

export const locked = (b: Batch): Shape => ({
  ...LOCKED_ROWS,
  first: lockFirst(b),
  lead: [lockedAgain(b)],
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

/** What refers to a locked row, whatever was written since it was locked. */
export const belowRows = ({ policy }: Batch, place: Along['place'], declared: Dependant): Along => ({
  place,
  using: sql`only ${tableId(policy.table)} t`,
  where: allOf(LOCKED_ROWS.rows, belongs(declared, policy)),
  root: sql`t.ctid`,
});

/** Part `locked(c, label)`: the locked rows that may still go. */
export function lockedAgain(b: Batch): Sql {
  const { walk } = b;
  if (walk.ownLabel !== null) return stillFree(b, 'locked', sql`t.ctid as c, ${walk.label} as label`);
  const labels = sql` join unnest(${LOCKED_PLACES}, current_setting('lapse.labels')::text[]) l(c, label) on l.c = t.ctid`;
  return stillFree(b, 'locked', sql`t.ctid as c, l.label`, labels);
}

/**
 * Those of the locked rows that nothing keeps which came below them before they were locked. Where rows may be reached in
 * several ways, none is, if one is not: what it was to take along might go with another.
 */
export function stillFree(b: Batch, called: string, columns: Sql, joined = empty): Sql {
  const { walk, policy } = b;
  const grown = treeOf(policy);
  const isKept = anyOf(
    held(walk),
    walk.isExtendable && extended(policy, walk.asOf),
    deadLettered(policy, walk.asOf),
    (walk.locksFirst || grown.takesGoverned) && referenced(walk),
    policy.clock.orLaterIn && sql`(${walk.takes} is not true)`,
  );
  const those = (what: Sql, more: Sql, where: Sql) =>
    sql`select ${what} from only ${tableId(policy.table)} t${more} where t.ctid = any(${LOCKED_PLACES})${where}`;
  const isFree = grown.isForked
    ? sql` and not exists (${those(sql`1`, empty, sql` and ${isKept}`)})`
    : sql` and not ${isKept}`;
  return cte(called, those(columns, joined, sql` and ${token(b)}${isFree}`), true);
}

/** What the statement before has locked. */
export const LOCKED_PLACES = sql`current_setting('lapse.rows')::tid[]`;

export const SEEN_BEFORE = cte(
  'seen',
  sql`
    select s.picked, s.kept, s.after from jsonb_to_record(current_setting('lapse.seen')::jsonb) s(picked int, kept jsonb, after jsonb)
  `,
  true,
);
