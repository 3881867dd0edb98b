/** When a schedule fires, next or last: five fields, UTC, the forms Vercel takes (numbers, *, ranges, lists, steps). */

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
  const fields = read(schedule);
  if (!fields) return null;
  const earliest = Math.floor(from.getTime() / MINUTE) * MINUTE + MINUTE;
  const midnight = Math.floor(earliest / DAY) * DAY;
  for (let day = 0; day <= FURTHEST_DAYS; day += 1) {
    const date = midnight + day * DAY;
    const at = timesOf(fields, new Date(date)).find((t) => date + t >= earliest);
    if (at !== undefined) return new Date(date + at);
  }
  return null;
}

/** The last instant at or before `from`; null for a schedule that never fires or cannot be read. */
export function lastDue(schedule: string, from: Date): Date | null {
  const fields = read(schedule);
  if (!fields) return null;
  const midnight = Math.floor(from.getTime() / DAY) * DAY;
  for (let day = 0; day <= FURTHEST_DAYS; day += 1) {
    const date = midnight - day * DAY;
    const at = timesOf(fields, new Date(date)).findLast((t) => date + t <= from.getTime());
    if (at !== undefined) return new Date(date + at);
  }
  return null;
}

interface Fields extends Readonly<Record<'days' | 'months' | 'weekdays', Set<number>>> {
  /** Milliseconds after midnight, in ascending order. */
  readonly times: readonly number[];
}

/** As many as are declared: each call of a cron reads all of them. */
const READ = new Map<string, Fields | null>();

function read(schedule: string): Fields | null {
  const known = READ.get(schedule);
  if (known !== undefined) return known;
  const fields = parsed(schedule);
  READ.set(schedule, fields);
  return fields;
}

function parsed(schedule: string): Fields | null {
  const parts = schedule.trim().split(/\s+/);
  if (parts.length !== BOUNDS.length) return null;
  const [minutes, hours, days, months, weekdays] = parts.map((part, i) => values(part, BOUNDS[i]!));
  if (!(minutes && hours && days && months && weekdays)) return null;
  const times = [...hours].flatMap((h) => [...minutes].map((m) => (h * 60 + m) * MINUTE));
  return { times, days, months, weekdays };
}

/** Of one day. */
function timesOf({ times, days, months, weekdays }: Fields, date: Date): readonly number[] {
  const isDue =
    days.has(date.getUTCDate()) && months.has(date.getUTCMonth() + 1) && weekdays.has(date.getUTCDay());
  return isDue ? times : [];
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

/** The same schedule so many hours later in the day, where it names one hour. */
export function hoursLater(schedule: string, hours: number): string {
  const [minute, hour, ...rest] = schedule.split(' ');
  return [minute, /^\d+$/.test(hour ?? '') ? String((Number(hour) + hours) % 24) : hour, ...rest].join(' ');
}
