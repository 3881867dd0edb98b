/** When a schedule fires next: five fields, UTC, the forms Vercel takes (numbers, *, ranges, lists, steps). */

/** First and last value of minute, hour, day of month, month, day of week. */
const BOUNDS: readonly (readonly [least: number, most: number])[] = [
  [0, 59],
  [0, 23],
  [1, 31],
  [1, 12],
  [0, 6],
];
/** From one 29 February to the next, the furthest a date without a weekday can be away (but for 2100). */
const FURTHEST_DAYS = 1_462;
const MINUTE = 60_000;
const DAY = 86_400_000;

/** The first instant after `from`; null for a schedule that never fires or cannot be read. */
export function nextRun(schedule: string, from: Date): Date | null {
  const parts = schedule.trim().split(/\s+/);
  if (parts.length !== BOUNDS.length) return null;
  const fields = parts.map((part, i) => values(part, BOUNDS[i]!));
  const [minutes, hours, days, months, weekdays] = fields;
  if (!minutes || !hours || !days || !months || !weekdays) return null;
  const earliest = Math.floor(from.getTime() / MINUTE) * MINUTE + MINUTE;
  const midnight = Math.floor(earliest / DAY) * DAY;
  for (let day = 0; day <= FURTHEST_DAYS; day += 1) {
    const date = new Date(midnight + day * DAY);
    const isDue =
      days.has(date.getUTCDate()) && months.has(date.getUTCMonth() + 1) && weekdays.has(date.getUTCDay());
    if (!isDue) continue;
    for (const hour of hours) {
      for (const minute of minutes) {
        const at = date.getTime() + (hour * 60 + minute) * MINUTE;
        if (at >= earliest) return new Date(at);
      }
    }
  }
  return null;
}

/** The values of one field in ascending order; null when it is none. */
function values(field: string, [least, most]: readonly [number, number]): Set<number> | null {
  const found = new Set<number>();
  for (const part of field.split(',')) {
    const match = /^(?:\*|(\d+)(?:-(\d+))?)(?:\/(\d+))?$/.exec(part);
    if (!match) return null;
    const [, first, last, step] = match;
    const from = first === undefined ? least : Number(first);
    const to = last !== undefined ? Number(last) : first === undefined || step !== undefined ? most : from;
    const by = step === undefined ? 1 : Number(step);
    if (from < least || to > most || from > to || by < 1) return null;
    for (let value = from; value <= to; value += by) found.add(value);
  }
  return new Set([...found].sort((a, b) => a - b));
}
