/**
 * How one kind of leg reads the table: everything in which the kinds differ, and nothing else. Statements are made from
 * a walk, so that none of them asks which kind it is.
 */
import { empty, type Sql, sql } from '../../../platform/sql';
import type { Policy } from '../../../policies/contract';
import type { Position } from '../leg';

/** Where the walk continues after the rows it has looked at: pieces of the part `at` (pick.ts). */
export interface Cursor {
  /** Columns of the last row looked at, beside its clock and key. */
  readonly last: Sql;
  /** The position as jsonb, from `x` (full_batch), `l` (the last row: clock and key as text) and what `beside` adds. */
  readonly after: Sql;
  readonly beside: Sql;
  /** How many tenants were passed by whose label no rule has. */
  readonly unknown: Sql;
}

/** The next rows of the walk as one range of its index, bounded on both sides. */
export interface Range {
  /** Parts in front of it, up to `last`: clock and key of its last row, or none where the leg ends within it. */
  readonly lead: readonly Sql[];
  /** What `t` is joined to. */
  readonly using?: Sql;
  /** Which rows `t` lie in it. */
  readonly within: Sql;
  /** How many rows there are where the leg ends within it. */
  readonly rest: Sql;
}

export interface Walk {
  readonly policy: Policy;
  /** The instant from which retention is counted back, typed. */
  readonly asOf: Sql;
  /** The label of every row; null where each row has that of its tenant. */
  readonly ownLabel: string | null;
  readonly label: Sql;
  /** The instant before which a row may go. */
  readonly cutoff: Sql;
  /** Whether no rule has the row's label. */
  readonly unknown: Sql;
  /** Whether an extension keeps a row. */
  readonly isExtendable: boolean;
  /** A row that only refers to itself is kept by nothing. */
  readonly besidesItself?: true;
  /** A hold that keeps a row beside those on itself and on what goes with it; null where there is none to look for. */
  readonly held: Sql | null;
  /** The instant its period began, as a dry run shows it; null where none counts. */
  readonly instant: Sql;
  /** Whatever refers to a row is looked for once more when the row is locked: a reference need not refuse by itself. */
  readonly locksFirst: boolean;
  /** Parts in front of a statement that reads `rows`: all tenants, where there are any. */
  readonly lead: readonly Sql[];
  /** The relation `t`, joined to whatever says its cutoff. */
  readonly rows: Sql;
  /** The relation `w(label, cutoff)`: one row, or one a tenant; and which rows `t` are one's own, whatever their age. */
  readonly scopes: Sql;
  readonly own: Sql;
  /** What an index answers: the leg's own rows before the cutoff, not marked already. */
  readonly due: Sql;
  /** What else the index itself settles: the policy's `where`, where the index has only such rows. */
  readonly indexed: Sql | null;
  /** All of the policy's own judgment but its `where`. */
  readonly past: Sql;
  /** Of a dry run: a row `t` is past the cutoff of another rule, and goes in that rule's leg. */
  readonly besides?: Sql;
  /** The policy's `where`, where it counts. */
  readonly condition: Sql | null;
  /** Whether a row `t` of another statement is one of this leg that is past its period, `where` included. */
  readonly takes: Sql;
  /** The columns of `picked` in the order of the walk, and the same of the rows themselves. */
  readonly columns: readonly Sql[];
  readonly order: Sql;
  readonly cursor: Cursor;
  /** Part `picked`, behind those it reads: the next `limit` rows in the order of the walk, without judging them. */
  picked(position: Position | null, limit: number): readonly Sql[];
  /** The same rows as a range; null where no index has them side by side. */
  range(position: Position | null, limit: number): Range | null;
  /** Reads `what` of every row of the leg for which `where` is true; `then` orders and limits, tenant by tenant where there are tenants. */
  each(what: Sql, where: Sql, then?: Sql): Sql;
}

/** Of a walk whose rows all have one cutoff. */
export const PLAIN_CURSOR: Cursor = {
  last: empty,
  after: sql`jsonb_build_object('ended', not x.full_batch, 'clock', l.clock, 'key', coalesce(l.key, '[]'))`,
  beside: empty,
  unknown: sql`0`,
};
