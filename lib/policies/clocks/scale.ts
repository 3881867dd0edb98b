/**
 * How one kind of clock counts time: everything in which the kinds differ, and nothing else. A kind is a file beside this
 * one. Statements compare a row's value with an instant in the value's own type, so that the index answers.
 */
import { type Sql, sql } from '../../platform/sql';

export interface Scale {
  /** In which values are compared, and travel in a cursor. */
  readonly type: string;
  /** What PostgreSQL may call the type of its columns. */
  readonly columns: readonly string[];
  /** Below every value that is an instant. */
  readonly low: Sql;
  /** Above every one; null where no one value is. */
  readonly high: Sql | null;
  /** Values up to `low` may be there and are no instants, so that a walk begins behind them. */
  readonly beginsBehindLow: boolean;
  /** An instant as a value: rows before it have a smaller one. */
  at(instant: Sql): Sql;
  isInstant(value: Sql): Sql;
  /** What is asked of a row beside that its value is below the instant's: that it is an instant at all, however texts sort. */
  isBefore(value: Sql, instant: Sql): Sql;
  /** The value as a point in time; null where it is none. Never an error, whatever the value is. */
  instant(value: Sql): Sql;
  /** `i` of `n` parts of the way from one value to another. */
  between(from: Sql, to: Sql, i: Sql, n: Sql): Sql;
}

/** Of values that can be subtracted from each other, and their difference multiplied by a fraction. */
export const partOfTheWay = (from: Sql, to: Sql, i: Sql, n: Sql): Sql =>
  sql`${from} + (${to} - ${from}) * (${i}::float8 / ${n})`;
/** Of whole numbers, or of days. */
export const wholePartOfTheWay = (from: Sql, to: Sql, i: Sql, n: Sql): Sql =>
  sql`${from} + (${to} - ${from}) * ${i} / ${n}`;
