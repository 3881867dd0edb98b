/** How long something is kept. */
import { z } from 'zod';

/** `seconds: null` keeps forever, 0 for no time at all. `env` names the variable (whole days, −1 = forever) that may change it. */
export const Period = z.object({
  seconds: z.number().int().nonnegative().nullable(),
  env: z
    .string()
    .regex(/^[A-Z][A-Z0-9_]*$/)
    .optional(),
});
export type Period = z.infer<typeof Period>;

/** After which something else happens: never at once. */
export const Waiting = Period.refine((p) => p.seconds !== 0, 'must be longer than no time');

export const days = (n: number, env?: string): Period => ({ seconds: n * 86_400, ...(env ? { env } : {}) });
export const hours = (n: number): Period => ({ seconds: n * 3600 });
/** As soon as the clock has come: of a clock that lies ahead, e.g. an expiry. */
export const atOnce = (): Period => ({ seconds: 0 });
export const forever = (env?: string): Period => ({ seconds: null, ...(env ? { env } : {}) });

const HOUR = 3_600;
const DAY = 86_400;

/** `30 days`, `2,555 days (7 years)`, `24 hours`, `forever`, `no time`. */
export function periodInWords({ seconds }: Period): string {
  if (seconds === null) return 'forever';
  if (seconds === 0) return 'no time';
  const days = seconds / DAY;
  if (days <= 1 || !Number.isInteger(days)) {
    const hours = seconds / HOUR;
    return Number.isInteger(hours) ? count(hours, 'hour') : count(Math.round(seconds / 60), 'minute');
  }
  return days % 365 === 0 ? `${count(days, 'day')} (${count(days / 365, 'year')})` : count(days, 'day');
}

const count = (n: number, unit: string): string =>
  `${n.toLocaleString('en-US')} ${unit}${n === 1 ? '' : 's'}`;
