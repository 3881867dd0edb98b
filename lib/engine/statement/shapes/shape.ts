/** What the shapes of a batch differ in, and nothing else: the deleting statement itself (deleting.ts) is the same for all. */
import type { Sql } from '../../../platform/sql';

export interface Shape {
  /** A statement of its own, sent before the deleting one. */
  readonly first?: Sql;
  /** One after it, which sees what was committed while that waited. */
  readonly second?: Sql | null;
  /** Parts in front of the deletion. */
  readonly lead: readonly Sql[];
  /** Which rows `t` go. */
  readonly rows: Sql;
  /** How many were judged and locked; `x` are the totals of what went. */
  readonly locked: Sql;
  /** Parts up to `seen(picked, kept, after)`, which has one row; may read `totals`. */
  readonly seen: readonly Sql[];
}
