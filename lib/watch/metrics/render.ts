/**
 * Readings as Prometheus text (M2), through a registry of this scrape alone: an instance has no memory. A
 * `dry_run` shows in the runs and their durations, never in what was deleted.
 */
import { Counter, Gauge, Registry } from 'prom-client';
import { readQueue } from '../../orders/queue';
import type { Readings } from './read';
import { renderWatch } from './watch';

export interface BreakerReading {
  readonly policy: string;
  readonly open: boolean;
}

const SLA = ['within_sla', 'warning', 'breached'] as const;
const OUTCOMES = ['succeeded', 'interrupted', 'skipped', 'errored'] as const;
const MODES = ['delete', 'dry_run'] as const;

export async function renderMetrics(r: Readings, breakers: readonly BreakerReading[]): Promise<string> {
  const registry = new Registry();
  const registers = [registry];
  const counter = <L extends string>(name: string, help: string, labelNames: L[]) =>
    new Counter({ name, help, labelNames, registers });
  const gauge = <L extends string>(name: string, help: string, labelNames: L[] = []) =>
    new Gauge({ name, help, labelNames, registers });

  const deletes = counter('retention_deletes_total', 'Rows deleted.', ['policy', 'plan']);
  const freed = counter('retention_bytes_freed_total', 'Bytes of the files of deleted rows.', [
    'policy',
    'plan',
  ]);
  for (const d of r.deleted) {
    const labels = { policy: String(d.policy), plan: String(d.plan) };
    deletes.inc(labels, Number(d.deleted));
    freed.inc(labels, Number(d.bytes));
  }
  const runs = counter('retention_cleanup_runs_total', 'Finished runs.', ['policy', 'outcome', 'mode']);
  // A counter that begins at 1 has no increase: the first error of a policy would alert nobody.
  for (const policy of new Set(r.runs.map((x) => String(x.policy)))) {
    for (const outcome of OUTCOMES) for (const mode of MODES) runs.inc({ policy, outcome, mode }, 0);
  }
  for (const x of r.runs) {
    runs.inc({ policy: String(x.policy), outcome: String(x.outcome), mode: String(x.mode) }, Number(x.runs));
  }
  const started = gauge('retention_last_run_timestamp_seconds', 'Start of the last finished run.', [
    'policy',
  ]);
  const completed = gauge(
    'retention_last_completed_timestamp_seconds',
    'Start of the last run that did its work.',
    ['policy'],
  );
  const took = gauge('retention_last_run_seconds', 'How long the last run took.', ['policy']);
  const sla = gauge('retention_run_sla', '1 for the status of the last run against its allowed duration.', [
    'policy',
    'sla_status',
  ]);
  for (const l of r.last) {
    const policy = String(l.policy);
    started.set({ policy }, Number(l.started));
    if (l.completed !== null) completed.set({ policy }, Number(l.completed));
    took.set({ policy }, Number(l.seconds));
    for (const s of SLA) sla.set({ policy, sla_status: s }, l.sla_status === s ? 1 : 0);
  }
  const entries = gauge('retention_open_entries', 'Entries waiting: dead letters, outbox, alerts.', ['kind']);
  const oldest = gauge('retention_open_oldest_seconds', 'Age of the oldest of them.', ['kind']);
  for (const o of r.open) {
    entries.set({ kind: String(o.what) }, Number(o.n));
    oldest.set({ kind: String(o.what) }, Math.max(0, Number(o.age)));
  }
  const breaker = gauge('retention_breaker_open', '1 while the circuit breaker of a policy is open.', [
    'policy',
  ]);
  for (const b of breakers) breaker.set({ policy: b.policy }, b.open ? 1 : 0);

  renderWatch(registry, r.watch);
  const findings = gauge(
    'retention_quality_findings',
    'Measurements of the data beyond their threshold, and those not possible.',
    ['policy', 'measure', 'status'],
  );
  const share = gauge('retention_quality_share', 'Share of the rows looked at that are at fault.', [
    'policy',
    'measure',
    'subject',
  ]);
  const measured = gauge('retention_quality_timestamp_seconds', 'When the data was last measured.', [
    'policy',
  ]);
  for (const m of r.quality) {
    const about = { policy: String(m.policy), measure: String(m.measure) };
    for (const status of ['breached', 'unknown'])
      findings.inc({ ...about, status }, m.status === status ? 1 : 0);
    if (m.share !== null && m.measure !== 'profile')
      share.set({ ...about, subject: String(m.subject) }, Number(m.share));
    measured.set({ policy: about.policy }, Number(m.measured));
  }

  const missing = gauge('retention_metrics_part_failed', '1 for a part this scrape could not read.', [
    'part',
  ]);
  for (const [part, failed] of Object.entries(r.parts)) missing.set({ part }, failed);
  if (r.queue) renderQueue(r.queue, gauge);
  return `${await registry.metrics()}${histogram(r)}`;
}

/** Only where an order review is declared. */
function renderQueue(
  queue: NonNullable<Readings['queue']>,
  gauge: <L extends string>(name: string, help: string, labelNames: L[]) => Gauge<L>,
): void {
  const q = readQueue(queue);
  const orders = gauge('retention_orders', 'Orders by where they wait.', ['queue']);
  const age = gauge('retention_orders_oldest_seconds', 'Age of the oldest order of each queue.', ['queue']);
  orders.set({ queue: 'in_review' }, q.inReview);
  orders.set({ queue: 'warning' }, q.warning);
  orders.set({ queue: 'breached' }, q.breached);
  orders.set({ queue: 'refunding' }, q.refunding);
  orders.set({ queue: 'manual' }, q.manual);
  orders.set({ queue: 'without_start' }, q.withoutStart);
  age.set({ queue: 'in_review' }, q.oldestInReviewSeconds);
  age.set({ queue: 'refunding' }, q.oldestRefundSeconds);
  age.set({ queue: 'manual' }, q.oldestManualSeconds);
}

/** prom-client's histogram can only observe one by one; the totals are written as the text format asks. */
function histogram(r: Readings): string {
  const name = 'retention_cleanup_seconds';
  const lines = ['', `# HELP ${name} Durations of finished runs.`, `# TYPE ${name} histogram`];
  const series = new Map<string, { buckets: number[]; seconds: number }>();
  for (const x of r.runs) {
    const labels = `policy="${escaped(String(x.policy))}",mode="${String(x.mode)}"`;
    const one = series.get(labels) ?? { buckets: [], seconds: 0 };
    (x.buckets as string[]).forEach((n, i) => {
      one.buckets[i] = (one.buckets[i] ?? 0) + Number(n);
    });
    one.seconds += Number(x.seconds);
    series.set(labels, one);
  }
  for (const [labels, { buckets, seconds }] of series) {
    let sum = 0;
    for (const [i, n] of buckets.entries()) {
      sum += n;
      lines.push(`${name}_bucket{${labels},le="${r.bounds[i] ?? '+Inf'}"} ${sum}`);
    }
    lines.push(`${name}_sum{${labels}} ${seconds}`, `${name}_count{${labels}} ${sum}`);
  }
  return `${lines.join('\n')}\n`;
}

const escaped = (value: string): string =>
  value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
