/** A point in time, as it is. */
import { sql } from '../../platform/sql';
import { partOfTheWay, type Scale } from './scale';

export const zoned: Scale = {
  type: 'timestamptz',
  columns: ['timestamp with time zone'],
  low: sql`'-infinity'`,
  high: sql`'infinity'`,
  beginsBehindLow: false,
  at: (instant) => instant,
  isInstant: (value) => sql`isfinite(${value})`,
  isBefore: (value) => sql`isfinite(${value})`,
  instant: (value) => value,
  between: partOfTheWay,
};
