/** What operators and auditors read: the chain, its head, its verification, lineage, the cleanup report. */
import { z } from 'zod';
import { send } from '../control/carry-out';
import { operatorRoute } from '../control/endpoint';
import { RequestError } from '../errors';
import { deadlineOf } from '../http/deadline';
import { urlOf } from '../http/raw-url';
import { type Services, services } from '../services';
import { exportHead } from './head';
import { lineage } from './lineage';
import { cleanupReport, readPeriod, toCsv } from './report';
import { verify } from './verify';

type Handler = (request: Request) => Promise<Response>;

/** What the route file gives its function. */
const MAX_DURATION_SECONDS = 300;
const PAGE = 200;
/** A key of 8 kB, each character an escape of JSON. */
const MOST_KEY = 49_152;

const whole = z
  .string()
  .regex(/^\d{1,15}$/)
  .transform(Number);
const VIEWS = {
  verify: z.strictObject({
    n: whole.optional(),
    hash: z
      .string()
      .regex(/^[0-9a-f]{64}$/)
      .optional(),
  }),
  head: z.strictObject({}),
  entries: z.strictObject({ after: whole.default(0), subject: z.string().min(1).max(500).optional() }),
  lineage: z.strictObject({ table: z.string().min(3).max(130), key: z.string().min(1).max(MOST_KEY) }),
} as const;

export const auditRoute = (view: string, provide: () => Services = services): Handler =>
  operatorRoute(
    async (s, _operator, request) => {
      if (!Object.hasOwn(VIEWS, view)) {
        throw new RequestError(404, 'unknown_view', `there are ${Object.keys(VIEWS).join(', ')}`);
      }
      const given = Object.fromEntries(urlOf(request).searchParams);
      switch (view as keyof typeof VIEWS) {
        case 'verify': {
          const { n, hash } = parameters('verify', given);
          if ((n === undefined) !== (hash === undefined)) {
            throw new RequestError(400, 'bad_parameter', 'a known head needs both n and hash', 'n');
          }
          const deadline = deadlineOf(s.clock(), MAX_DURATION_SECONDS, []).getTime();
          const inTime = () => deadline - s.clock().getTime() > 5_000;
          return verify(s.database, {
            inTime,
            ...(n !== undefined && hash !== undefined ? { known: { n, hash } } : {}),
          });
        }
        case 'head':
          parameters('head', given);
          return { head: await exportHead(s) };
        case 'entries':
          return entries(s, parameters('entries', given));
        case 'lineage': {
          const { table, key } = parameters('lineage', given);
          return lineage(s, table, key);
        }
      }
    },
    provide,
    'audit',
  );

export const cleanupRoute = (provide: () => Services = services): Handler =>
  operatorRoute(
    async (s, _operator, request) => {
      const { format, ...period } = readPeriod(urlOf(request).searchParams);
      const report = await cleanupReport(s, period);
      if (format === 'json') return report;
      return new Response(toCsv(report), {
        headers: {
          'content-type': 'text/csv; charset=utf-8; header=present',
          'content-disposition': 'attachment; filename="cleanup.csv"',
          'cache-control': 'no-store',
        },
      });
    },
    provide,
    'reports',
  );

function parameters<V extends keyof typeof VIEWS>(view: V, given: unknown): z.output<(typeof VIEWS)[V]> {
  const parsed = VIEWS[view].safeParse(given);
  if (parsed.success) return parsed.data as z.output<(typeof VIEWS)[V]>;
  const issue = parsed.error.issues[0]!;
  const field = issue.code === 'unrecognized_keys' ? issue.keys[0] : String(issue.path[0]);
  const there = Object.keys(VIEWS[view].shape).join(', ') || 'none';
  throw new RequestError(
    400,
    'bad_parameter',
    `${field} is missing, wrong or unknown; the parameters of ${view} are: ${there}`,
    field,
  );
}

async function entries(s: Services, q: { after: number; subject?: string | undefined }): Promise<unknown> {
  const [, rows] = await send(
    s,
    [
      {
        text: `select n::float8 as n, to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at, actor, action, subject, reason, detail, prev, hash
          from retention.audit_entry where n > $1::bigint and ($2::text is null or subject = $2) order by n limit ${PAGE + 1}`,
        params: [q.after, q.subject ?? null],
      },
    ],
    true,
  );
  const page = (rows ?? []).slice(0, PAGE);
  return { entries: page, next: (rows ?? []).length > PAGE ? Number(page.at(-1)?.n) : null };
}
