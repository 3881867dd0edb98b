/**
 * The cleanup report of a period (G5), as JSON or CSV: per policy what ran, what went, what stayed and why.
 * From the run records, whose counts come from the receipts; dry runs never count as deletions. The period
 * takes the runs that began in it: from inclusive, to exclusive, UTC.
 */
import { z } from 'zod';
import { csv } from '../../platform/csv';
import { type Query, query, rows } from '../../platform/query';
import { askOne } from '../../platform/session';
import { id, list, literal, type Sql, sql, utc } from '../../platform/sql';
import type { Services } from '../../services';

const STATEMENT_MS = 30_000;

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
  /** References set to null in rows that stay. */
  references_cleared: count,
  files_queued: count,
  bytes_freed: count,
  held: count,
  extended: count,
  dead_letters: count,
  first_run: z.string().nullable(),
  last_run: z.string().nullable(),
  longest_seconds: z.coerce.number().nullable(),
  /** What was done to the rows that count as deleted, as their receipts call it. */
  actions: z.string().nullable(),
  /** Runs by their duration against what the policy allows. */
  within_sla: count,
  warning: count,
  breached: count,
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

const OUTCOMES = ['succeeded', 'interrupted', 'skipped', 'errored'] as const;
/** Dry runs never count as deletions. */
const REAL = sql`filter (where r.mode = 'delete')`;
const total = (counted: Sql): Sql => sql`coalesce(sum(${counted}) ${REAL}, 0)`;
const kept = (reason: string): Sql => total(sql`(r.kept ->> ${literal(reason)})::bigint`);

const SLA = ['within_sla', 'warning', 'breached'] as const;

/** From one action of the index to the next, and one receipt of each: not every receipt of the period. */
const actionsOf = (policy: Sql, within: (instant: Sql) => Sql): Sql => sql`with recursive a(action) as (
    select min(c.action) from retention.receipt c where c.policy = ${policy}
    union all
    select (select min(c.action) from retention.receipt c where c.policy = ${policy} and c.action > a.action) from a where a.action is not null
  ) select string_agg(a.action, ', ' order by a.action) from a where a.action is not null and exists (
    select 1 from retention.receipt c where c.policy = ${policy} and c.action = a.action and ${within(sql`c.committed_at`)})`;

/** One line a policy that has ever run. */
function linesOf({ from, to }: Period): Query<Line[]> {
  const within = (instant: Sql): Sql =>
    sql`${instant} >= ${from.toISOString()}::timestamptz and ${instant} < ${to.toISOString()}::timestamptz`;
  const outcomes = OUTCOMES.map(
    (o) => sql`count(*) filter (where r.mode = 'delete' and r.outcome = ${literal(o)}) as ${id(o)}`,
  );
  return query(
    sql`select s.policy, x.* from retention.policy_state s cross join lateral (
        select count(*) ${REAL} as runs, ${list(...outcomes)},
          count(*) filter (where r.mode = 'dry_run') as dry_runs,
          ${total(sql`r.deleted`)} as rows_deleted, ${total(sql`r.dependants_deleted`)} as dependants_deleted,
          ${total(sql`r.files_queued`)} as files_queued, ${total(sql`r.bytes_freed`)} as bytes_freed,
          ${kept('held')} as held, ${kept('extended')} as extended,
          (select count(*) from retention.dead_letter l where l.policy = s.policy and ${within(sql`l.created_at`)}) as dead_letters,
          ${utc(sql`min(r.started_at)`, 'ms')} as first_run, ${utc(sql`max(r.started_at)`, 'ms')} as last_run, max(r.duration_seconds) as longest_seconds,
          (select coalesce(sum(jsonb_array_length(d.value)), 0) from retention.receipt c cross join lateral jsonb_each(c.detached) d
            where c.policy = s.policy and c.detached <> '{}' and ${within(sql`c.committed_at`)}) as references_cleared,
          (${actionsOf(sql`s.policy`, within)}) as actions,
          ${list(...SLA.map((status) => sql`count(*) filter (where r.mode = 'delete' and r.sla_status = ${literal(status)}) as ${id(status)}`))},
          coalesce((
            select jsonb_object_agg(g.label, jsonb_build_object('deleted', g.deleted, 'bytes', g.bytes)) from (
              select e.key as label, sum((e.value ->> 'deleted')::bigint) as deleted, sum((e.value ->> 'bytes')::bigint) as bytes
              from retention.run b cross join lateral jsonb_each(b.by_rule) e
              where b.policy = s.policy and b.mode = 'delete' and ${within(sql`b.started_at`)}
              group by e.key
            ) g
          ), '{}') as by_rule
        from retention.run r
        where r.policy = s.policy and ${within(sql`r.started_at`)}
      ) x order by s.policy`,
    rows(Line),
  );
}

export async function cleanupReport(services: Services, period: Period): Promise<CleanupReport> {
  const limits = { statementMs: STATEMENT_MS, readOnly: true };
  const lines = await askOne(services.database, linesOf(period), limits);
  const sum = (field: keyof CleanupReport['totals']) => lines.reduce((n, l) => n + l[field], 0);
  return {
    from: period.from.toISOString(),
    to: period.to.toISOString(),
    policies: lines.map((l) => ({ ...l, retention: retentionOf(services, l.policy) })),
    totals: {
      rows_deleted: sum('rows_deleted'),
      dependants_deleted: sum('dependants_deleted'),
      files_queued: sum('files_queued'),
      bytes_freed: sum('bytes_freed'),
    },
  };
}

/** Seconds to keep by rule, as declared now; null keeps forever. */
const retentionOf = (services: Services, name: string): Record<string, number | null> =>
  Object.fromEntries(
    services.policies.find((p) => p.name === name)?.rules.map((r) => [r.label, r.keepFor.seconds]) ?? [],
  );

/** One line a policy. */
export function toCsv({ from, to, policies }: CleanupReport): string {
  const columns = Object.keys(Line.shape).filter((c) => c !== 'by_rule') as Exclude<keyof Line, 'by_rule'>[];
  return csv(
    ['from', 'to', ...columns],
    policies.map((p) => [from, to, ...columns.map((c) => p[c])]),
  );
}
