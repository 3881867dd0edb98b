/**
 * When what an erasure leaves on a ground goes after all: so long after an instant of its row, where the data map says so. From
 * then on it is as any other: an erasure takes it, and its check does not pass it by. An empty instant ends nothing.
 */
import { constant, id, type Sql, sql } from '../platform/sql';
import type { MappedColumn } from '../policies/data-map-contract';

type Until = Extract<MappedColumn['handling'], { kind: 'retain' }>['until'];

/** Columns that are retained until one and the same instant of a row `t`. */
export interface Ending {
  readonly columns: readonly string[];
  readonly end: Sql;
}

/** `isInstant`: whether a column of the table is a date or a timestamp; another one never comes to an end by itself. */
export function endingsOf(
  columns: readonly MappedColumn[],
  isInstant: (column: string) => boolean,
): Ending[] {
  const found = new Map<string, { columns: string[]; end: Sql }>();
  for (const { column, handling } of columns) {
    if (handling.kind !== 'retain' || typeof handling.until !== 'object') continue;
    if (!isInstant(handling.until.after)) continue;
    const same = JSON.stringify(handling.until);
    const ending = found.get(same) ?? { columns: [], end: endOf(handling.until) };
    ending.columns.push(column);
    found.set(same, ending);
  }
  return [...found.values()];
}

function endOf(until: Exclude<Until, string>): Sql {
  const after = sql`${id('t', until.after)}::timestamptz`;
  return 'days' in until
    ? sql`(${after} + make_interval(days => ${constant(until.days)}))`
    : sql`(${after} + make_interval(years => ${constant(until.years)}))`;
}
