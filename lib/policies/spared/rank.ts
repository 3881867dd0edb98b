/**
 * Rows that stay whatever their age for the sake of those like them: the first so many, in one order, of each group. A kind
 * is a file beside this one; the statements in lib/engine/statement/spared ask only what is said here.
 */
import type { Clock } from '../clocks';

export interface Rank {
  /** What a run counts such a row as. */
  readonly reason: 'newest' | 'one_of_period';
  /** The columns whose values a group shares; none: the whole table is one. */
  readonly per: readonly string[];
  /** How many of each group stay. */
  readonly most: number;
  /** Which: those with the latest clock, or the earliest; among equal clocks by the key. */
  readonly which: 'first' | 'last';
  /** A group is also of one period of the calendar. */
  readonly period: Calendar | null;
}

export const UNITS = ['day', 'week', 'month', 'quarter', 'year'] as const;
type Unit = (typeof UNITS)[number];

/** Periods of the calendar in one time zone. */
interface Calendar {
  readonly unit: Unit;
  readonly zone: string;
  /** Its rows stay until the whole period is older than this; null: forever. */
  readonly untilSeconds: number | null;
}

/** What a kind may ask of the policy it is declared in. */
export interface Governed {
  readonly clock: Clock;
  readonly rules: readonly { readonly keepFor: { readonly seconds: number | null } }[];
  readonly partitioned?: { readonly by: string } | undefined;
}
