/**
 * Seconds or milliseconds since 1970, as a number. What lies before 1971 is no instant: 0 stands for "none" in many
 * applications, and seconds in a column of milliseconds would all be old. What lies behind the year 9999 is none either.
 */
import { constant, raw, type Sql, sql } from '../../platform/sql';
import { type Scale, wholePartOfTheWay } from './scale';

const UNITS = { seconds: 1, milliseconds: 1_000 } as const;
export type Unit = keyof typeof UNITS;

/** 1971, and the year 10000, in seconds. */
const FIRST = 31_536_000;
const END = 253_402_300_800;

export const epoch = (unit: Unit, isWhole: boolean): Scale => {
  const per = UNITS[unit];
  const [low, high] = [constant(FIRST * per), constant(END * per)];
  const isInstant = (value: Sql) => sql`(${value} > ${low} and ${value} < ${high})`;
  return {
    type: isWhole ? 'bigint' : 'numeric',
    columns: isWhole ? ['bigint', 'integer'] : ['numeric'],
    low,
    high,
    beginsBehindLow: true,
    at: (instant) => {
      // A whole number is below an instant where it is below the next whole number.
      const within = sql`least(greatest(${instant}, '1970-01-01Z'), '9999-12-31Z')`;
      const count = sql`extract(epoch from ${within})::numeric * ${constant(per)}`;
      return isWhole ? sql`ceil(${count})::bigint` : sql`(${count})`;
    },
    isInstant,
    isBefore: isInstant,
    instant: (value) =>
      sql`(case when ${isInstant(value)} then to_timestamp(${value}::float8 / ${raw(per.toFixed(1))}) end)`,
    between: wholePartOfTheWay,
  };
};
