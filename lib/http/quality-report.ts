/** GET /api/reports/quality, for operators: the latest measurements, or with `from` and `to` those of a period; JSON or CSV. */
import { csv } from '../platform/csv';
import { askOne } from '../platform/session';
import { type Services, services } from '../services';
import { latestMeasurements, measurementsBetween, type StoredMeasurement } from '../watch/quality/store';
import { answerCsv } from './answer';
import type { Handler } from './answered';
import { operatorRoute } from './operator-route';
import { readFormat, readPeriod, refuseUnknown } from './period';
import { urlOf } from './raw-url';

const LIMITS = { statementMs: 10_000, readOnly: true };

export const qualityRoute = (provide: () => Services = services): Handler =>
  operatorRoute(
    async (s, _operator, request) => {
      const { statement, format, period } = parametersOf(s, urlOf(request).searchParams);
      const found = await askOne(s.reading, statement, LIMITS);
      const measurements = found.map(({ measured: _, ...rest }) => rest);
      return format === 'json' ? { ...period, measurements } : answerCsv(toCsv(measurements), 'quality.csv');
    },
    provide,
    'reports',
  );

function parametersOf(services: Services, q: URLSearchParams) {
  if (q.has('from') || q.has('to')) {
    const { from, to, format } = readPeriod(q);
    return {
      statement: measurementsBetween(from, to),
      format,
      period: { from: from.toISOString(), to: to.toISOString() },
    };
  }
  refuseUnknown(q);
  const format = readFormat(q);
  return { statement: latestMeasurements(services.policies.map((p) => p.name)), format, period: {} };
}

const CSV = [
  'day',
  'policy',
  'measure',
  'subject',
  'status',
  'found',
  'lookedAt',
  'share',
  'most',
  'sampled',
] as const;

/** Keys are only in the JSON: their form is the application's and may not fit a CSV cell. */
const toCsv = (found: readonly Omit<StoredMeasurement, 'measured'>[]): string =>
  csv(
    CSV,
    found.map((m) => CSV.map((c) => m[c])),
  );
