/**
 * A time or a day without a zone of its own: the policy says in which one the application wrote it. Without a zone the same
 * time may mean two hours: a row counts as older only if it is under both (DELETION §4).
 */
import { literal, sql } from '../../platform/sql';
import { partOfTheWay, type Scale, wholePartOfTheWay } from './scale';

export const local = (type: 'timestamp' | 'date', zone: string): Scale => {
  const isDate = type === 'date';
  return {
    type,
    columns: [isDate ? 'date' : 'timestamp without time zone'],
    low: sql`'-infinity'`,
    high: sql`'infinity'`,
    beginsBehindLow: false,
    at: (instant) => {
      const time = sql`retention.local_time(${instant}, ${literal(zone)})`;
      return isDate ? sql`${time}::date` : time;
    },
    isInstant: (value) => sql`isfinite(${value})`,
    isBefore: (value) => sql`isfinite(${value})`,
    instant: (value) => sql`(${value}::timestamp at time zone ${literal(zone)})`,
    between: isDate ? wholePartOfTheWay : partOfTheWay,
  };
};
