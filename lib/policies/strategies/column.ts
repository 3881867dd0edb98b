/** Columns that a strategy changes. */
import { z } from 'zod';
import type { Problem } from '../../platform/errors';
import { id, sql, tableId } from '../../platform/sql';
import type { Table } from './strategy';

export const identifier = z
  .string()
  .min(1)
  .max(63)
  .refine((s) => !s.includes('\0'), 'must not hold a NUL');

/** A row is marked when it is marked: not at the instant its pass counts from, which may be days ago. */
export const MARKED_NOW = sql`(select retention.clock())`;

/** A mark is an instant. */
export function unfitMark(table: Table, field: string, column: string): Problem[] {
  const mark = table.columns[column];
  if (!mark || mark.base === 'timestamp with time zone') return [];
  const [t, c] = [tableId(table).text, id(column).text];
  return [
    {
      problem: `${field} ${c} of ${t} is ${mark.type}, and has to hold an instant`,
      remedy: `ALTER TABLE ${t} ALTER COLUMN ${c} TYPE timestamptz USING ${c}::timestamp AT TIME ZONE 'UTC';`,
    },
  ];
}
