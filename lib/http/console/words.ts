/** Numbers, sizes and spans as people read them. Instants are UTC, and say so. */

export const countOf = (n: number): string => Math.round(n).toLocaleString('en');

/** `1 row`, `1,204 rows`. */
export const manyOf = (n: number, one: string, many = `${one}s`): string =>
  `${countOf(n)} ${Math.round(n) === 1 ? one : many}`;

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const;

/** Decimal units with three digits: `11.3 GB`. */
export function bytesOf(bytes: number): string {
  const power = bytes < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1000 ** power;
  return `${value >= 100 || power === 0 ? Math.round(value) : Number(value.toPrecision(3))} ${UNITS[power]}`;
}

/** `95.7 %`. */
export const shareOf = (share: number): string => `${Number((share * 100).toPrecision(3))} %`;

/** The two largest units, rounded down so that it is never more than it was: `3 d 4 h`, `12 min`, `40 s`. */
export function spanOf(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return two(hours, 'h', minutes % 60, 'min');
  return two(Math.floor(hours / 24), 'd', hours % 24, 'h');
}

const two = (large: number, unit: string, small: number, smallUnit: string): string =>
  small === 0 || large >= 10 ? `${large} ${unit}` : `${large} ${unit} ${small} ${smallUnit}`;

/** `2 h ago`, or `in 3 d` for what comes. */
export function agoOf(at: Date, now: Date): string {
  const seconds = (now.getTime() - at.getTime()) / 1000;
  return seconds < 0 ? `in ${spanOf(-seconds)}` : `${spanOf(seconds)} ago`;
}

/** `2026-11-22 14:03 UTC`. */
export const minuteOf = (at: Date): string => `${at.toISOString().slice(0, 16).replace('T', ' ')} UTC`;

/** `14:03 UTC`, of today. */
export const clockOf = (at: Date): string => `${at.toISOString().slice(11, 16)} UTC`;
