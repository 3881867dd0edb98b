/** Where anything of the subject still stands once nothing may go any more: counted by a look at each value of each row that is left. */
import type { Copy } from '../shapes/copy';
import { type Line, normal } from './map';

export interface Seeking {
  readonly lines: ReadonlyMap<string, Line>;
  readonly scope: string;
  readonly subject: string;
  readonly addresses: readonly string[];
  /** Columns by which a table names such subjects. */
  naming(table: string): readonly string[];
  /** Retained, and its end has not come. */
  isRetained(table: string, column: string, values: Readonly<Record<string, string | null>>): boolean;
}

/** An id of so many letters is looked for in every text. */
const LONG = 16;

/** By table and column, how many rows. */
export function leftBehind(copy: Copy, s: Seeking): Record<string, Record<string, number>> {
  const found: Record<string, Record<string, number>> = {};
  for (const row of copy.rows.values()) {
    const line = s.lines.get(row.table);
    if (!line) continue;
    for (const [column, value] of Object.entries(row.values)) {
      if (value === null || line.impersonal.includes(column)) continue;
      if (!isOfSubject(s, row.table, column, value) || s.isRetained(row.table, column, row.values)) continue;
      const of = found[row.table] ?? {};
      found[row.table] = { ...of, [column]: (of[column] ?? 0) + 1 };
    }
  }
  return found;
}

function isOfSubject(s: Seeking, table: string, column: string, value: string): boolean {
  const { subject } = s;
  if (subject.length >= LONG && value.toLowerCase().includes(subject.toLowerCase())) return true;
  if (subject.length < LONG && s.naming(table).includes(column) && value === subject) return true;
  // An address stands between blanks, quotes and commas here.
  return value.split(/[\s",]+/).some((word) => s.addresses.includes(normal(word)));
}
