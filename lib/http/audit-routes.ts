/** What operators and auditors read: the chain, its head, its verification, lineage, the cleanup report. */
import { z } from 'zod';
import { explainRow } from '../operators/audit/explain-row';
import { exportHead } from '../operators/audit/head';
import { cleanupReport, toCsv } from '../operators/audit/report';
import { verify } from '../operators/audit/verify';
import { READING } from '../operators/carry-out';
import { RequestError } from '../platform/errors';
import { query, rows } from '../platform/query';
import { askOne } from '../platform/session';
import { allOf, constant, sql, utc } from '../platform/sql';
import { inTurn } from '../platform/turn';
import { type Services, services } from '../services';
import { answerCsv } from './answer';
import type { Handler } from './answered';
import { deadlineOf } from './deadline';
import { operatorRoute } from './operator-route';
import { readPeriod } from './period';
import { urlOf } from './raw-url';

/** The time limit that the route file sets for its function. */
const MAX_DURATION_SECONDS = 300;
const PAGE = 200;
/** A key of 8 kB, each character an escape of JSON. */
const MOST_KEY = 49_152;

const whole = z
  .string()
  .regex(/^\d{1,15}$/)
  .transform(Number);
/** PostgreSQL cannot store a NUL, and no name contains control characters. */
const printable = (most: number) =>
  z
    .string()
    .min(1)
    .max(most)
    .regex(/^[^\p{Cc}\p{Cs}]*$/u);
const VIEWS = {
  verify: z.strictObject({
    n: whole.optional(),
    hash: z
      .string()
      .regex(/^[0-9a-f]{64}$/)
      .optional(),
  }),
  head: z.strictObject({}),
  entries: z.strictObject({ after: whole.default(0), subject: printable(500).optional() }),
  lineage: z.strictObject({ table: printable(130), key: printable(MOST_KEY) }),
} as const;

export const auditRoute = (view: string, provide: () => Services = services): Handler =>
  operatorRoute(
    async (s, _operator, request) => {
      if (!Object.hasOwn(VIEWS, view)) {
        throw new RequestError(
          404,
          'unknown_view',
          `unknown view; the views are ${Object.keys(VIEWS).join(', ')}`,
        );
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
          const known = n !== undefined && hash !== undefined ? { known: { n, hash } } : {};
          return alone(s, 'verify', () => verify(s.reading, { inTime, ...known }));
        }
        case 'head':
          parameters('head', given);
          return { head: await exportHead(asReader(s)) };
        case 'entries':
          return entries(s, parameters('entries', given));
        case 'lineage': {
          const { table, key } = parameters('lineage', given);
          return alone(s, 'lineage', () => explainRow(s, table, key));
        }
      }
    },
    provide,
    'audit',
    'audit',
  );

export const cleanupRoute = (provide: () => Services = services): Handler =>
  operatorRoute(
    async (s, _operator, request) => {
      const { format, ...period } = readPeriod(urlOf(request).searchParams);
      const report = await cleanupReport(asReader(s), period);
      return format === 'json' ? report : answerCsv(toCsv(report), 'cleanup.csv');
    },
    provide,
    'reports',
  );

/** What reads Lapse's own tables alone does so with the rights of who only looks. */
const asReader = (s: Services): Services => ({ ...s, database: s.reading });

/** Each of them reads every receipt: only one runs at a time, for all callers together. */
async function alone<R>(services: Services, what: string, work: () => Promise<R>): Promise<R> {
  const turn = await inTurn(services.redis, `audit-${what}`, MAX_DURATION_SECONDS * 1000, work);
  if (turn.mine) return turn.result;
  throw new RequestError(
    429,
    'one_at_a_time',
    `another ${what} is running: try again when it has ended, within ${turn.secondsLeft} s at the latest`,
  );
}

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

/** As the database answers them; one more than a page, to see whether there is another one. */
const entriesAfter = (n: number, subject: string | null) =>
  query(
    sql`select n::float8 as n, ${utc(sql`at`)} as at, actor, action, subject, reason, detail, prev, hash
      from retention.audit_entry e where ${allOf(sql`e.n > ${n}::bigint`, subject !== null && sql`e.subject = ${subject}`)} order by e.n limit ${constant(PAGE + 1)}`,
    rows(z.looseObject({ n: z.number() })),
  );

async function entries(s: Services, q: { after: number; subject?: string | undefined }): Promise<unknown> {
  const found = await askOne(s.reading, entriesAfter(q.after, q.subject ?? null), READING);
  const page = found.slice(0, PAGE);
  return { entries: page, next: found.length > PAGE ? page.at(-1)!.n : null };
}
