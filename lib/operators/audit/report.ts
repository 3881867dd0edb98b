/**
 * The cleanup report of a period (G5), as JSON or CSV: per policy what ran, what went, what stayed and why.
 * From the run records, whose counts come from the receipts; dry runs never count as deletions. The period
 * takes the runs that began in it: from inclusive, to exclusive, UTC.
 */
import { z } from 'zod';
import { RequestError } from '../../platform/errors';
import { answerTimeoutMs, session } from '../../platform/session';
import type { Services } from '../../services';

const STATEMENT_MS = 30_000;
/** A year and a day: longer periods are asked for in parts. */
const MOST_DAYS = 367;

const count = z.coerce.number().int();
const Line = z.object({
  policy: z.string(),
  runs: count,
  succeeded: count,
  interrupted: count,
  skipped: count,
  errored: count,
  dry_runs: count,
  rows_deleted: count,
  dependants_deleted: count,
  files_queued: count,
  bytes_freed: count,
  held: count,
  extended: count,
  dead_letters: count,
  first_run: z.string().nullable(),
  last_run: z.string().nullable(),
  longest_seconds: z.coerce.number().nullable(),
  by_rule: z.record(z.string(), z.object({ deleted: count, bytes: count })),
});
type Line = z.infer<typeof Line>;

export interface CleanupReport {
  readonly from: string;
  readonly to: string;
  readonly policies: readonly (Line & { retention: Record<string, number | null> })[];
  readonly totals: {
    readonly rows_deleted: number;
    readonly dependants_deleted: number;
    readonly files_queued: number;
    readonly bytes_freed: number;
  };
}

export interface Period {
  readonly from: Date;
  readonly to: Date;
}

/** A date counts from its midnight UTC; `to` is exclusive. Throws RequestError 400 that names the parameter. */
export function readPeriod(parameters: URLSearchParams): Period & { format: 'json' | 'csv' } {
  for (const name of parameters.keys()) {
    if (!['from', 'to', 'format'].includes(name)) {
      throw new RequestError(
        400,
        'unknown_parameter',
        `${name} is not a parameter; there are from, to, format`,
        name,
      );
    }
  }
  const instant = (name: 'from' | 'to'): Date => {
    const value = parameters.get(name);
    const fits = z.union([z.iso.date(), z.iso.datetime({ offset: true })]).safeParse(value);
    if (!fits.success) {
      throw new RequestError(
        400,
        'bad_parameter',
        `${name} must be a date (2026-03-01) or an instant with its zone`,
        name,
      );
    }
    // PostgreSQL knows no year 0, and Lapse kept nothing before there were computers.
    if (!/^(19[7-9]|[2-9]\d\d)/.test(fits.data)) {
      throw new RequestError(400, 'bad_parameter', `${name} must be in 1970 or later`, name);
    }
    return new Date(fits.data);
  };
  const [from, to] = [instant('from'), instant('to')];
  if (to <= from) throw new RequestError(400, 'bad_parameter', 'to must be after from', 'to');
  if (to.getTime() - from.getTime() > MOST_DAYS * 86_400_000) {
    throw new RequestError(400, 'bad_parameter', `ask for at most ${MOST_DAYS} days`, 'to');
  }
  const format = parameters.get('format') ?? 'json';
  if (format !== 'json' && format !== 'csv') {
    throw new RequestError(400, 'bad_parameter', 'format must be json or csv', 'format');
  }
  return { from, to, format };
}

export async function cleanupReport(services: Services, period: Period): Promise<CleanupReport> {
  const [from, to] = [period.from.toISOString(), period.to.toISOString()];
  const utc = (e: string) => `to_char(${e} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
  const kept = (reason: string) =>
    `coalesce(sum((r.kept ->> '${reason}')::bigint) filter (where r.mode = 'delete'), 0)`;
  const real = (e: string) => `coalesce(sum(${e}) filter (where r.mode = 'delete'), 0)`;
  const outcome = (o: string) => `count(*) filter (where r.mode = 'delete' and r.outcome = '${o}') as ${o}`;
  const [, rows] = await services.database.transaction(
    [
      session(STATEMENT_MS),
      {
        text: `select s.policy, x.* from retention.policy_state s cross join lateral (
            select count(*) filter (where r.mode = 'delete') as runs, ${['succeeded', 'interrupted', 'skipped', 'errored'].map(outcome).join(', ')},
              count(*) filter (where r.mode = 'dry_run') as dry_runs,
              ${real('r.deleted')} as rows_deleted, ${real('r.dependants_deleted')} as dependants_deleted,
              ${real('r.files_queued')} as files_queued, ${real('r.bytes_freed')} as bytes_freed,
              ${kept('held')} as held, ${kept('extended')} as extended,
              (select count(*) from retention.dead_letter l where l.policy = s.policy and l.created_at >= $1::timestamptz and l.created_at < $2::timestamptz) as dead_letters,
              ${utc('min(r.started_at)')} as first_run, ${utc('max(r.started_at)')} as last_run, max(r.duration_seconds) as longest_seconds,
              coalesce((
                select jsonb_object_agg(g.label, jsonb_build_object('deleted', g.deleted, 'bytes', g.bytes)) from (
                  select e.key as label, sum((e.value ->> 'deleted')::bigint) as deleted, sum((e.value ->> 'bytes')::bigint) as bytes
                  from retention.run b cross join lateral jsonb_each(b.by_rule) e
                  where b.policy = s.policy and b.mode = 'delete' and b.started_at >= $1::timestamptz and b.started_at < $2::timestamptz
                  group by e.key
                ) g
              ), '{}') as by_rule
            from retention.run r
            where r.policy = s.policy and r.started_at >= $1::timestamptz and r.started_at < $2::timestamptz
          ) x order by s.policy`,
        params: [from, to],
      },
    ],
    { readOnly: true, timeoutMs: answerTimeoutMs(STATEMENT_MS) },
  );
  const lines = z.array(Line).parse(rows);
  const sum = (field: keyof CleanupReport['totals']) => lines.reduce((n, l) => n + l[field], 0);
  return {
    from,
    to,
    policies: lines.map((l) => ({ ...l, retention: retentionOf(services, l.policy) })),
    totals: {
      rows_deleted: sum('rows_deleted'),
      dependants_deleted: sum('dependants_deleted'),
      files_queued: sum('files_queued'),
      bytes_freed: sum('bytes_freed'),
    },
  };
}

/** Seconds to keep by rule, as declared now; null keeps for ever. */
const retentionOf = (services: Services, name: string): Record<string, number | null> =>
  Object.fromEntries(
    services.policies.find((p) => p.name === name)?.rules.map((r) => [r.label, r.keepFor.seconds]) ?? [],
  );

/** One line a policy, RFC 4180. Nothing in it is written by users: names are checked at start, the rest is numbers. */
/** RFC 4180; what a spreadsheet would take for a formula is text. */
export function cell(value: unknown): string {
  const plain = String(value ?? '');
  const text = typeof value === 'string' && /^[=+\-@\t\r]/.test(plain) ? `'${plain}` : plain;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export function toCsv(report: CleanupReport): string {
  const columns = Object.keys(Line.shape).filter((c) => c !== 'by_rule') as Exclude<keyof Line, 'by_rule'>[];
  const lines = report.policies.map((p) =>
    [report.from, report.to, ...columns.map((c) => cell(p[c]))].join(','),
  );
  return [['from', 'to', ...columns].join(','), ...lines, ''].join('\r\n');
}
