/** What the watch and the backlog last wrote: a row a policy or job each, and no more. */
import { z } from 'zod';
import { type Answers, query, rows } from '../../platform/query';
import { raw, type Sql, sql } from '../../platform/sql';
import type { Declared } from '../../policies/crons';
import { allExpected } from '../expected';
import { isIdle, type Note } from '../quiet';
import type { Meters } from './meters';

const SLA = ['within_sla', 'warning', 'breached'] as const;
const STATUS = ['on_time', 'warning', 'breached', 'withheld'] as const;
const VERDICT = ['clear', 'catching_up', 'never', 'unknown'] as const;
const SEVERITY = ['warning', 'critical'] as const;

const Backlog = z.object({ policy: z.string(), plan: z.string(), seconds: z.coerce.number() });
const Forecast = z.object({
  policy: z.string(),
  waiting: z.number(),
  arrivals_per_day: z.number().nullable(),
  drained_per_day: z.number().nullable(),
  verdict: z.string(),
  measured: z.number(),
});
const Watched = z.object({
  name: z.string(),
  status: z.string().nullable(),
  sla_status: z.string().nullable(),
  worked: z.number().nullable(),
  looked: z.number().nullable(),
});
const Open = z.object({ severity: z.string(), n: z.number() });

/** What is no longer declared is not reported. */
export function watchQueries(declared: Declared) {
  const isOneOf = (column: string, names: readonly string[]): Sql =>
    sql`${raw(column)} in (select jsonb_array_elements_text(${JSON.stringify(names)}::jsonb))`;
  const policies = declared.policies.map((p) => p.name);
  const all = allExpected(declared).map((e) => e.name);
  return {
    backlog: query(
      sql`select policy, plan, seconds_past_cutoff as seconds from retention.backlog where ${isOneOf('policy', policies)}`,
      rows(Backlog),
    ),
    forecasts: query(
      sql`select policy, waiting::float8, arrivals_per_day, drained_per_day, verdict,
          extract(epoch from measured_at)::float8 as measured from retention.forecast where ${isOneOf('policy', policies)}`,
      rows(Forecast),
    ),
    watched: query(
      sql`select w.name, w.status, w.sla_status, extract(epoch from w.worked_at)::float8 as worked,
          extract(epoch from nullif(t.looked_at, '-infinity'))::float8 as looked
        from retention.watched w cross join retention.watch_turn t where ${isOneOf('w.name', all)}`,
      rows(Watched),
    ),
    incidents: query(
      sql`select severity, count(*)::float8 as n from retention.incident where recovered_at is null group by severity`,
      rows(Open),
    ),
  };
}
type Readings = Answers<ReturnType<typeof watchQueries>>;

/** Who has come since without asking PostgreSQL: each such call has judged all others, and its own law said that there was nothing. */
export function withNotes(readings: Readings, notes: ReadonlyMap<string, Note>): Readings {
  const idle = [...notes].flatMap(([name, note]) => (isIdle(note) ? [[name, secondsOf(note)] as const] : []));
  const judged = idle.length === 0 ? null : Math.max(...idle.map(([, at]) => at));
  const clear = idle.find(([name]) => name === 'backlog')?.[1] ?? null;
  return {
    ...readings,
    watched: readings.watched.map((w) => ({
      ...w,
      worked: most(w.worked, idle.find(([name]) => name === w.name)?.[1] ?? null),
      looked: most(w.looked, judged),
    })),
    forecasts: readings.forecasts.map((f) => ({ ...f, measured: most(f.measured, clear) ?? f.measured })),
  };
}

const secondsOf = (note: Note): number => note.finishedAt.getTime() / 1000;
const most = (a: number | null, b: number | null): number | null =>
  a === null || b === null ? (a ?? b) : Math.max(a, b);

export function renderWatch(meters: Meters, { backlog, forecasts, watched, incidents }: Readings): void {
  const past = meters.gauge(
    'retention_backlog_seconds',
    'How long the oldest row that may go should have been gone.',
    ['policy', 'plan'],
  );
  for (const { policy, plan, seconds } of backlog) past.set({ policy, plan }, seconds);
  renderForecasts(meters, forecasts);
  renderWatched(meters, watched);
  const open = meters.gauge('retention_incidents_open', 'Incidents that last.', ['severity']);
  for (const severity of SEVERITY)
    open.set({ severity }, incidents.find((i) => i.severity === severity)?.n ?? 0);
}

function renderForecasts(meters: Meters, forecasts: Readings['forecasts']): void {
  const waiting = meters.gauge(
    'retention_backlog_rows',
    'Rows before their cutoff, held or not, counted up to a bound.',
    ['policy'],
  );
  const arrivals = meters.gauge('retention_arrivals_per_day', 'Rows that expire a day, mean of a week.', [
    'policy',
  ]);
  const drained = meters.gauge('retention_drained_per_day', 'Rows deleted a day, mean of a week.', [
    'policy',
  ]);
  const verdict = meters.gauge(
    'retention_backlog_verdict',
    '1 for whether the policy keeps up with what expires.',
    ['policy', 'verdict'],
  );
  const measured = meters.gauge(
    'retention_backlog_measured_timestamp_seconds',
    'When the backlog was measured, or known to be clear without measuring.',
    ['policy'],
  );
  for (const { policy, ...forecast } of forecasts) {
    waiting.set({ policy }, forecast.waiting);
    arrivals.set({ policy }, forecast.arrivals_per_day ?? 0);
    if (forecast.drained_per_day !== null) drained.set({ policy }, forecast.drained_per_day);
    for (const v of VERDICT) verdict.set({ policy, verdict: v }, forecast.verdict === v ? 1 : 0);
    measured.set({ policy }, forecast.measured);
  }
}

function renderWatched(meters: Meters, watched: Readings['watched']): void {
  const status = meters.gauge(
    'retention_watch_status',
    '1 for how a policy or job stands against its schedule.',
    ['name', 'status'],
  );
  const worked = meters.gauge(
    'retention_last_worked_timestamp_seconds',
    'Start of the latest that did its work.',
    ['name'],
  );
  const duration = meters.gauge('retention_duration_sla', '1 for the latest against its allowed duration.', [
    'name',
    'sla_status',
  ]);
  for (const { name, ...of } of watched) {
    for (const s of STATUS) status.set({ name, status: s }, of.status === s ? 1 : 0);
    if (of.worked !== null) worked.set({ name }, of.worked);
    if (of.sla_status === null) continue;
    for (const s of SLA) duration.set({ name, sla_status: s }, of.sla_status === s ? 1 : 0);
  }
  // Not served before the first look: 0 would be a look in 1970.
  const lookedAt = watched[0]?.looked ?? null;
  if (lookedAt !== null)
    meters
      .gauge('retention_watch_timestamp_seconds', 'When an instance last looked for late runs.')
      .set(lookedAt);
}
