/** GET /api/reports/quality, for operators: the latest measurements, or with `from` and `to` those of a period; JSON or CSV. */
import { cell, readPeriod } from '../operators/audit/report';
import { RequestError } from '../platform/errors';
import { askRows } from '../platform/session';
import { type Services, services } from '../services';
import {
  latestMeasurements,
  measurementsBetween,
  readMeasurements,
  type StoredMeasurement,
} from '../watch/quality/store';
import { operatorRoute } from './operator-route';
import { urlOf } from './raw-url';

const STATEMENT_MS = 10_000;

export const qualityRoute = (provide: () => Services = services): ((request: Request) => Promise<Response>) =>
  operatorRoute(
    async (s, _operator, request) => {
      const { statement, format, period } = asked(s, urlOf(request).searchParams);
      const [rows = []] = await askRows(s.database, [statement], {
        statementMs: STATEMENT_MS,
        readOnly: true,
      });
      const measurements = readMeasurements(rows);
      if (format === 'json') return { ...period, measurements };
      return new Response(toCsv(measurements), {
        headers: {
          'content-type': 'text/csv; charset=utf-8; header=present',
          'content-disposition': 'attachment; filename="quality.csv"',
          'cache-control': 'no-store',
        },
      });
    },
    provide,
    'reports',
  );

function asked(s: Services, q: URLSearchParams) {
  if (q.has('from') || q.has('to')) {
    const { from, to, format } = readPeriod(q);
    return {
      statement: measurementsBetween(from, to),
      format,
      period: { from: from.toISOString(), to: to.toISOString() },
    };
  }
  const other = [...q.keys()].find((k) => k !== 'format');
  if (other !== undefined) {
    throw new RequestError(
      400,
      'unknown_parameter',
      `${other} is not a parameter; there are from, to, format`,
      other,
    );
  }
  const format = q.get('format') ?? 'json';
  if (format !== 'json' && format !== 'csv') {
    throw new RequestError(400, 'bad_parameter', 'format must be json or csv', 'format');
  }
  return { statement: latestMeasurements(s.policies.map((p) => p.name)), format, period: {} };
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

/** RFC 4180. Keys stay in the JSON: what a key looks like is not ours to say. */
function toCsv(found: readonly StoredMeasurement[]): string {
  return [CSV.join(','), ...found.map((m) => CSV.map((c) => cell(m[c])).join(',')), ''].join('\r\n');
}
