/** The period of a report in the console: the last seven days, unless the address says another; and the report to keep. */
import { cleanupReport, type Period, toCsv } from '../../operators/audit/report';
import { RequestError } from '../../platform/errors';
import type { Services } from '../../services';
import { readPeriod } from '../period';
import { answerFile, fileRoute } from './file';

const DAY_MS = 86_400_000;
const dayOf = (at: Date): string => at.toISOString().slice(0, 10);
const daysBefore = (at: Date, days: number): Date => new Date(at.getTime() - days * DAY_MS);

/** Days as the form shows them: `to` is the last day that counts. */
export interface Days {
  readonly from: string;
  readonly to: string;
}

/** So many days up to today. */
export const lastDays = (now: Date, days: number): Days => ({
  from: dayOf(daysBefore(now, days - 1)),
  to: dayOf(now),
});

export const PERIODS = [7, 30, 90, 365] as const;

/** What is no period is named, and the last seven days are shown. */
export function daysOf(
  asked: Readonly<Record<string, string>>,
  now: Date,
): { days: Days; period: Period; wrong: string | null } {
  const standard = lastDays(now, PERIODS[0]);
  const days = { from: asked.from || standard.from, to: asked.to || standard.to };
  try {
    return { days, period: periodOf(days), wrong: null };
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    return { days: standard, period: periodOf(standard), wrong: error.message };
  }
}

/** The day after the last one is where it ends. */
function periodOf({ from, to }: Days): Period {
  const end = Date.parse(`${to}T00:00:00Z`);
  const exclusive = Number.isNaN(end) ? to : dayOf(new Date(end + DAY_MS));
  return readPeriod(new URLSearchParams({ from, to: exclusive }));
}

/** GET with `from`, `to` (both count) and `format`, csv or json. */
export const reportRoute = (provide?: () => Services) =>
  fileRoute(
    'look',
    async (s, asked) => {
      const { days, period, wrong } = daysOf(Object.fromEntries(asked), s.clock());
      if (wrong !== null) throw new RequestError(400, 'bad_parameter', wrong, 'from');
      const report = await cleanupReport({ ...s, database: s.reading }, period);
      const name = `cleanup-${days.from}-${days.to}`;
      return asked.get('format') === 'json'
        ? answerFile(JSON.stringify(report), 'application/json', `${name}.json`)
        : answerFile(toCsv(report), 'text/csv; charset=utf-8; header=present', `${name}.csv`);
    },
    provide,
  );
