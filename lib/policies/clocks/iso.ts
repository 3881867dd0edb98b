/**
 * ISO 8601 as text, in the one form that sorts as it counts: UTC, with Z, always the same number of digits behind the
 * second. Any other text, also a day that no calendar has, is no instant: the row stays, as with an empty clock.
 */
import { constant, literal, type Sql, sql } from '../../platform/sql';
import type { Scale } from './scale';

/** Digits behind the second: what stands behind it, and how much longer an instant may be than it says. */
const FORMS = {
  0: { format: '"Z"', rest: '0.999999' },
  3: { format: '.MS"Z"', rest: '0.000999' },
  6: { format: '.US"Z"', rest: '0' },
} as const;
export type Digits = keyof typeof FORMS;

export const iso = (digits: Digits): Scale => {
  const { format, rest } = FORMS[digits];
  const instant = (value: Sql) => sql`retention.iso_instant(${value}, ${constant(digits)})`;
  const at = (of: Sql) => {
    // Infinite instants have no text; and a text is below an instant where it is below the next text.
    const within = sql`(least(greatest(${of}, '1000-01-01Z'), '9999-12-31Z') + interval ${literal(`${rest} seconds`)})`;
    return sql`to_char(${within} at time zone 'UTC', ${literal(`YYYY-MM-DD"T"HH24:MI:SS${format}`)})`;
  };
  return {
    type: 'text',
    columns: ['text', 'character varying'],
    low: sql`''`,
    high: null,
    beginsBehindLow: false,
    at,
    isInstant: (value) => sql`(${instant(value)} is not null)`,
    isBefore: (value, cutoff) => sql`${instant(value)} < ${cutoff}`,
    instant,
    between: (from, to, i, n) =>
      at(sql`${instant(from)} + (${instant(to)} - ${instant(from)}) * (${i}::float8 / ${n})`),
  };
};
