/**
 * What runs did, by running totals that the end of each run keeps: nothing here grows with the number of runs or of
 * business rows. A dry run shows in the runs and their durations, never in what was deleted.
 */
import { z } from 'zod';
import { type Answers, query, rows } from '../../platform/query';
import { sql } from '../../platform/sql';
import type { Meters } from './meters';

const SLA = ['within_sla', 'warning', 'breached'] as const;
const OUTCOMES = ['succeeded', 'interrupted', 'skipped', 'errored'] as const;
const MODES = ['delete', 'dry_run'] as const;

const Bound = z.object({ bound: z.number() });
const Deleted = z.object({ policy: z.string(), plan: z.string(), deleted: z.number(), bytes: z.number() });
const RunTotal = z.object({
  policy: z.string(),
  mode: z.string(),
  outcome: z.string(),
  runs: z.number(),
  seconds: z.coerce.number(),
  buckets: z.array(z.coerce.number()),
});
type RunTotal = z.infer<typeof RunTotal>;
const LastRun = z.object({
  policy: z.string(),
  sla_status: z.string().nullable(),
  seconds: z.coerce.number(),
  started: z.number(),
  completed: z.number().nullable(),
});

export const runQueries = () => ({
  bounds: query(sql`select unnest(retention.run_bounds())::float8 as bound`, rows(Bound)),
  deleted: query(
    sql`select policy, plan, deleted::float8, bytes::float8 from retention.deleted_total`,
    rows(Deleted),
  ),
  totals: query(
    sql`select policy, mode, outcome, runs::float8, seconds, buckets::text[] from retention.run_total`,
    rows(RunTotal),
  ),
  last: query(
    sql`select policy, sla_status, seconds, extract(epoch from started_at)::float8 as started,
        extract(epoch from completed_at)::float8 as completed from retention.last_run`,
    rows(LastRun),
  ),
});
type Runs = Answers<ReturnType<typeof runQueries>>;

export function renderRuns(meters: Meters, { deleted, totals, last }: Runs): void {
  renderDeleted(meters, deleted);
  renderTotals(meters, totals);
  renderLast(meters, last);
}

function renderDeleted(meters: Meters, deleted: Runs['deleted']): void {
  const rows = meters.counter('retention_deletes_total', 'Rows deleted.', ['policy', 'plan']);
  const bytes = meters.counter('retention_bytes_freed_total', 'Bytes of the files of deleted rows.', [
    'policy',
    'plan',
  ]);
  for (const { policy, plan, ...of } of deleted) {
    rows.inc({ policy, plan }, of.deleted);
    bytes.inc({ policy, plan }, of.bytes);
  }
}

function renderTotals(meters: Meters, totals: Runs['totals']): void {
  const runs = meters.counter('retention_cleanup_runs_total', 'Finished runs.', [
    'policy',
    'outcome',
    'mode',
  ]);
  // A counter that begins at 1 has no increase: the first error of a policy would trigger no alert.
  for (const policy of new Set(totals.map((t) => t.policy))) {
    for (const outcome of OUTCOMES) for (const mode of MODES) runs.inc({ policy, outcome, mode }, 0);
  }
  for (const { policy, outcome, mode, ...total } of totals) runs.inc({ policy, outcome, mode }, total.runs);
}

function renderLast(meters: Meters, last: Runs['last']): void {
  const labels: 'policy'[] = ['policy'];
  const started = meters.gauge(
    'retention_last_run_timestamp_seconds',
    'Start of the last finished run.',
    labels,
  );
  const completed = meters.gauge(
    'retention_last_completed_timestamp_seconds',
    'Start of the last run that did its work.',
    labels,
  );
  const took = meters.gauge('retention_last_run_seconds', 'How long the last run took.', labels);
  const sla = meters.gauge(
    'retention_run_sla',
    '1 for the status of the last run against its allowed duration.',
    ['policy', 'sla_status'],
  );
  for (const { policy, ...run } of last) {
    started.set({ policy }, run.started);
    if (run.completed !== null) completed.set({ policy }, run.completed);
    took.set({ policy }, run.seconds);
    for (const status of SLA) sla.set({ policy, sla_status: status }, run.sla_status === status ? 1 : 0);
  }
}

/** prom-client's histogram can only observe one by one; the totals are written as the text format asks. */
export function durations({ bounds, totals }: Pick<Runs, 'bounds' | 'totals'>): string {
  const name = 'retention_cleanup_seconds';
  const lines = ['', `# HELP ${name} Durations of finished runs.`, `# TYPE ${name} histogram`];
  for (const [labels, { buckets, seconds }] of seriesOf(totals)) {
    let sum = 0;
    for (const [i, n] of buckets.entries()) {
      sum += n;
      lines.push(`${name}_bucket{${labels},le="${bounds[i]?.bound ?? '+Inf'}"} ${sum}`);
    }
    lines.push(`${name}_sum{${labels}} ${seconds}`, `${name}_count{${labels}} ${sum}`);
  }
  return `${lines.join('\n')}\n`;
}

/** Buckets and seconds by policy and mode, whatever the outcome. */
function seriesOf(totals: readonly RunTotal[]): Map<string, { buckets: number[]; seconds: number }> {
  const series = new Map<string, { buckets: number[]; seconds: number }>();
  for (const total of totals) {
    const labels = `policy="${escaped(total.policy)}",mode="${total.mode}"`;
    const one = series.get(labels) ?? { buckets: [], seconds: 0 };
    total.buckets.forEach((n, i) => {
      one.buckets[i] = (one.buckets[i] ?? 0) + n;
    });
    one.seconds += total.seconds;
    series.set(labels, one);
  }
  return series;
}

const escaped = (value: string): string =>
  value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
