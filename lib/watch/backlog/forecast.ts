/** Will it ever catch up? Arrivals against what is deleted, both a day; pure. */
import { intervalOf } from '../expected';

export interface Throughput {
  readonly now: Date;
  /** Rows before their cutoff. */
  readonly waiting: number;
  /** False where the count stopped at its bound: there are more. */
  readonly counted: { readonly waiting: boolean; readonly arrivals: boolean };
  /** How late the oldest row that may go is. */
  readonly secondsPast: number;
  readonly arrivalsPerDay: number;
  /** Null until two days are on record. */
  readonly drainedPerDay: number | null;
  /** Of the first run and of its resumption. */
  readonly schedules: readonly string[];
  readonly latenessSeconds: number;
}

export interface Forecast {
  readonly verdict: 'clear' | 'catching_up' | 'never' | 'unknown';
  readonly clearAt: Date | null;
  readonly advice: string | null;
}

const DAY_MS = 86_400_000;
const DAY_SECONDS = 86_400;
/** A schedule worth naming has caught up within a week, and has a quarter to spare for a busy day. */
const CATCH_UP_DAYS = 7;
const SPARE = 1.25;
/** From twice a day to every five minutes, in minutes. */
const OFTENER = [720, 480, 360, 240, 180, 120, 60, 30, 20, 15, 10, 5];

/** What expires just after a run waits for the next one, which may be late: that is no backlog. */
const tolerated = (rates: Pick<Throughput, 'schedules' | 'latenessSeconds' | 'now'>): number =>
  intervalOf(rates.schedules[0] ?? '', rates.now) + rates.latenessSeconds;

/**
 * Until when a policy stays `clear` whatever expires: nothing can be later than its last drained run is past. Null where it was
 * not drained within that time.
 */
export function untilBehind(
  rates: Pick<Throughput, 'schedules' | 'latenessSeconds' | 'now'> & { readonly sinceDrained: number },
): Date | null {
  const left = tolerated(rates) - rates.sinceDrained;
  return left > 0 ? new Date(rates.now.getTime() + left * 1000) : null;
}

export function forecast(rates: Throughput): Forecast {
  if (rates.secondsPast <= tolerated(rates)) return { verdict: 'clear', clearAt: null, advice: null };
  if (rates.drainedPerDay === null) return { verdict: 'unknown', clearAt: null, advice: null };
  const gain = rates.drainedPerDay - rates.arrivalsPerDay;
  if (gain <= 0) return { verdict: 'never', clearAt: null, advice: scheduleFor(rates, rates.drainedPerDay) };
  // Against a count that stopped at its bound nothing good can be promised.
  if (!rates.counted.arrivals) return { verdict: 'unknown', clearAt: null, advice: null };
  const clearAt = rates.counted.waiting
    ? new Date(rates.now.getTime() + (rates.waiting / gain) * DAY_MS)
    : null;
  return { verdict: 'catching_up', clearAt, advice: null };
}

/** The least frequent schedule that would catch up, at the rows a run deletes now. */
function scheduleFor(rates: Throughput, drainedPerDay: number): string {
  if (drainedPerDay === 0) return 'nothing was deleted lately, so first see how its runs end';
  const runs = rates.schedules.reduce((sum, s) => sum + DAY_SECONDS / intervalOf(s, rates.now), 0);
  const perRun = drainedPerDay / runs;
  const needed = rates.arrivalsPerDay * SPARE + rates.waiting / CATCH_UP_DAYS;
  const minutes = OFTENER.find((m) => 1_440 / m > runs && (perRun * 1_440) / m >= needed);
  if (minutes === undefined) {
    return 'no schedule alone would: raise CLEANUP_LANES or CLEANUP_MAX_DURATION_SECONDS, or split the policy';
  }
  const at = /^\d+$/.exec(rates.schedules[0]?.split(' ')[0] ?? '')?.[0] ?? '0';
  const cron =
    minutes < 60
      ? `*/${minutes} * * * *`
      : minutes === 60
        ? `${at} * * * *`
        : `${at} */${minutes / 60} * * *`;
  return `the schedule "${cron}" would`;
}
