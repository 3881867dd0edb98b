/** What the shapes of a batch differ in, and nothing else: the deleting statement itself (deleting.ts) is the same for all. */
import type { Sql } from '../../../platform/sql';
import type { Place } from '../../../policies/tree';
import type { Batch } from '../request';

/** Rows `d` of one table that go with others: those that `using` is joined to by `where`. */
export interface Along {
  readonly place: Omit<Place, 'n'>;
  readonly using: Sql;
  readonly where: Sql;
  /** The place of the governed row `t` each goes with. */
  readonly root: Sql;
}

/** What to ask instead where a batch cannot go in this form. */
export interface Instead<T> {
  /** A row is met that others have locked, where such rows are not stepped over; or more would go, or for longer, than a batch may take. */
  readonly when: 'busy' | 'overrun';
  readonly ask: T;
}

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
  readonly along?: readonly Along[];
  /** Where each row that goes has a label of its own: the relation that has it, by the row's place `c`. */
  readonly labels: 'locked' | 'gone';
  /** A part `owners(c, label, tenant)` leads: rows may go before the one they go with. */
  readonly hasOwners?: true;
  /** A part `tree(n, o, c, r)` leads: the rows that go, as far as they were locked, by their place in the policy's tree. */
  readonly hasTree?: true;
  /** How many were judged and locked; `x` are the totals of what went. */
  readonly locked: Sql;
  /** Parts up to `seen(picked, kept, after)`, which has one row; may read `totals`. */
  readonly seen: readonly Sql[];
  /** More rows of all tables than this roll the batch back; unless given they were counted before. */
  readonly most?: number;
  readonly instead?: Instead<Batch['request']>;
}
