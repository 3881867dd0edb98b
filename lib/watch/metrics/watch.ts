/** What the watch and the backlog last wrote, as readings and as metrics: a row a policy or job each, and no more. */
import { Gauge, type Registry } from 'prom-client';
import type { Row, Statement } from '../../platform/database';
import type { Declared } from '../../policies/crons';
import { everything } from '../expected';

const SLA = ['within_sla', 'warning', 'breached'] as const;
const STATUS = ['on_time', 'warning', 'breached', 'withheld'] as const;
const VERDICT = ['clear', 'catching_up', 'never', 'unknown'] as const;
const SEVERITY = ['warning', 'critical'] as const;

/** Their answers are the `WatchReadings`, in this order. Of what is not declared any more nothing is told. */
export function watchStatements(declared: Declared): Statement[] {
  const names = JSON.stringify(declared.policies.map((p) => p.name));
  const all = JSON.stringify(everything(declared).map((e) => e.name));
  const isOneOf = (column: string) => `${column} in (select jsonb_array_elements_text($1::jsonb))`;
  return [
    {
      text: `select policy, plan, seconds_past_cutoff as seconds from retention.backlog where ${isOneOf('policy')}`,
      params: [names],
    },
    {
      text: `select policy, waiting::float8, arrivals_per_day, drained_per_day, verdict,
          extract(epoch from measured_at)::float8 as measured from retention.forecast where ${isOneOf('policy')}`,
      params: [names],
    },
    {
      text: `select w.name, w.status, w.sla_status, extract(epoch from w.worked_at)::float8 as worked,
          extract(epoch from nullif(t.looked_at, '-infinity'))::float8 as looked
        from retention.watched w cross join retention.watch_turn t where ${isOneOf('w.name')}`,
      params: [all],
    },
    {
      text: 'select severity, count(*)::float8 as n from retention.incident where recovered_at is null group by severity',
      params: [],
    },
  ];
}

export type WatchReadings = readonly Row[][];

export function renderWatch(registry: Registry, readings: WatchReadings): void {
  const [backlog = [], forecasts = [], watched = [], incidents = []] = readings;
  const gauge = <L extends string>(name: string, help: string, labelNames: L[] = []) =>
    new Gauge({ name, help, labelNames, registers: [registry] });

  const past = gauge(
    'retention_backlog_seconds',
    'How long the oldest row that may go should have been gone.',
    ['policy', 'plan'],
  );
  for (const b of backlog) past.set({ policy: String(b.policy), plan: String(b.plan) }, Number(b.seconds));

  const waiting = gauge(
    'retention_backlog_rows',
    'Rows before their cutoff, held or not, counted up to a bound.',
    ['policy'],
  );
  const arrivals = gauge('retention_arrivals_per_day', 'Rows that expire a day, mean of a week.', ['policy']);
  const drained = gauge('retention_drained_per_day', 'Rows deleted a day, mean of a week.', ['policy']);
  const verdict = gauge('retention_backlog_verdict', '1 for whether the policy keeps up with what expires.', [
    'policy',
    'verdict',
  ]);
  const measured = gauge('retention_backlog_measured_timestamp_seconds', 'When the backlog was measured.', [
    'policy',
  ]);
  for (const f of forecasts) {
    const policy = String(f.policy);
    waiting.set({ policy }, Number(f.waiting));
    arrivals.set({ policy }, Number(f.arrivals_per_day ?? 0));
    if (f.drained_per_day !== null) drained.set({ policy }, Number(f.drained_per_day));
    for (const v of VERDICT) verdict.set({ policy, verdict: v }, f.verdict === v ? 1 : 0);
    measured.set({ policy }, Number(f.measured));
  }

  const status = gauge('retention_watch_status', '1 for how a policy or job stands against its schedule.', [
    'name',
    'status',
  ]);
  const worked = gauge('retention_last_worked_timestamp_seconds', 'Start of the latest that did its work.', [
    'name',
  ]);
  const duration = gauge('retention_duration_sla', '1 for the latest against its allowed duration.', [
    'name',
    'sla_status',
  ]);
  for (const w of watched) {
    const name = String(w.name);
    for (const s of STATUS) status.set({ name, status: s }, w.status === s ? 1 : 0);
    if (w.worked !== null) worked.set({ name }, Number(w.worked));
    if (w.sla_status !== null) {
      for (const s of SLA) duration.set({ name, sla_status: s }, w.sla_status === s ? 1 : 0);
    }
  }
  // Not served before the first look: 0 would be a look in 1970.
  const lookedAt = watched[0]?.looked ?? null;
  if (lookedAt !== null) {
    gauge('retention_watch_timestamp_seconds', 'When somebody last looked for late runs.').set(
      Number(lookedAt),
    );
  }

  const open = gauge('retention_incidents_open', 'Incidents that last.', ['severity']);
  for (const severity of SEVERITY) {
    open.set({ severity }, Number(incidents.find((i) => i.severity === severity)?.n ?? 0));
  }
}
