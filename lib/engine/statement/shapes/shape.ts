/** What the shapes of a batch differ in, and nothing else: the deleting statement itself (deleting.ts) is the same for all. */
import type { Sql } from '../../../platform/sql';
import type { Batch } from '../request';

export interface Shape {
  /** Settings of the transaction behind its locks, as `set_config(…)`. */
  readonly settings?: readonly Sql[];
  /** A statement of its own, sent before the deleting one. */
  readonly first?: Sql;
  /** One after it, which sees what was committed while that waited. */
  readonly second?: Sql | null;
  /** Statements behind those, each of which changes rows that stay. */
  readonly between?: readonly Sql[];
  /** Parts in front of the deletion. */
  readonly lead: readonly Sql[];
  /** Which rows `t` go, and what `t` is joined to. */
  readonly rows: Sql;
  readonly using?: Sql;
  /** Where each row that goes has a label of its own: the relation that has it, by the row's place `c`. */
  readonly labels: 'locked' | 'gone';
  /** How many were judged and locked; `x` are the totals of what went. */
  readonly locked: Sql;
  /** Parts up to `seen(picked, kept, after)`, which has one row; may read `totals`. */
  readonly seen: readonly Sql[];
  /** What to ask instead when a row that others have locked is met: nothing where such rows are stepped over. */
  readonly instead?: Batch['request'];
}
