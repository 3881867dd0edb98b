/** Table retention.run, and the fence in retention.policy_state that goes with a run. */
import { z } from 'zod';
import type { Database } from '../../platform/database';
import type { Kept, KeptBelow, Outcome, Preview, SlaStatus } from '../../platform/outcome';
import { nothing, oneRow, type Query, query } from '../../platform/query';
import { ask, askOne } from '../../platform/session';
import { type Sql, sql, typed, utc } from '../../platform/sql';
import { PROGRESS, Progress } from '../statement/pressure';
import { SERVER, Server } from '../statement/server';

/** Beginning and ending wait for a batch of an earlier run that is still under way. */
export const BEGIN = { statementMs: 15_000, lockMs: 10_000 };

export interface RunStart {
  readonly policy: string;
  readonly runId: string;
  readonly version: string;
  readonly startedAt: Date;
  readonly trigger: 'cron' | 'manual';
  readonly actor: string;
  readonly correlationId: string;
  /** An erasure runs under the policy's name too. */
  readonly purpose: 'retention' | 'erasure';
}

export const Begun = z.object({
  fence: z.coerce.string().nullable(),
  as_of: z.string().nullable(),
  refused: z.enum(['paused', 'stopped']).nullable(),
  /** How far the server had got when the run began. */
  progress: Progress,
  server: Server,
});
export type Begun = z.infer<typeof Begun>;

/** The new fence, and the instant to count back from, never later than the database's own clock. */
export const beginRun = (start: RunStart): Query<Begun> =>
  query(
    sql`select fence::text, ${utc(sql`as_of`, 'ms')} as as_of, refused, ${PROGRESS} as progress, ${SERVER} as server
    from retention.begin_run(${start.policy}, ${start.runId}::uuid, ${start.version}, ${start.startedAt.toISOString()}::timestamptz,
      ${start.trigger}, ${start.actor}, ${start.correlationId}, ${start.purpose})`,
    oneRow(Begun),
  );

export interface RunEnd {
  readonly policy: string;
  readonly runId: string;
  readonly outcome: Outcome;
  readonly reason: string | null;
  readonly finishedAt: Date;
  readonly picked: number;
  readonly kept: Partial<Kept>;
  readonly keptBelow: KeptBelow;
  readonly slaStatus: SlaStatus;
}

const ending = (r: RunEnd): Sql =>
  sql`retention.end_run(${r.policy}, ${r.runId}::uuid, ${r.outcome}, ${r.reason}, ${r.finishedAt.toISOString()}::timestamptz,
    ${r.picked}::bigint, ${JSON.stringify(r.kept)}::jsonb, ${r.slaStatus}, ${JSON.stringify(r.keptBelow)}::jsonb)`;

/** Ends the run and returns the counts of its receipts, which are the truth. */
export async function endRun(database: Database, end: RunEnd): Promise<RunTotals> {
  const { totals } = await ask(
    database,
    { ended: query(sql`select ${ending(end)}`, nothing), totals: totalsOf(end.runId) },
    BEGIN,
  );
  return totals;
}

const totalsOf = (runId: string): Query<RunTotals> =>
  query(
    sql`select batches, deleted::text, dependants_deleted::text, files_queued::text, bytes_freed::text, by_rule
          from retention.run where id = ${runId}::uuid`,
    oneRow(RunTotals),
  );

/**
 * Ends the run within its first request when nothing is due: an idle night costs one request. Not the first run of a
 * version: whether preflight refuses it is known only when the answer is here.
 */
export const endIfIdle = (end: RunEnd, version: string): Query<{ ended: boolean }> =>
  query(
    sql`select (case when current_setting('lapse.due', true) = 'false' and exists (
      select 1 from retention.policy_version where policy = ${end.policy} and version = ${version} and in_force_at is not null
    ) then ${ending(end)}::text end) is not null as ended`,
    oneRow(z.object({ ended: z.boolean() })),
  );

const count = z.coerce.number().int().nonnegative();
export const RunTotals = z.object({
  batches: count,
  deleted: count,
  dependants_deleted: count,
  files_queued: count,
  bytes_freed: count,
  by_rule: z.record(z.string(), z.object({ deleted: count, bytes: count })),
});
export type RunTotals = z.infer<typeof RunTotals>;

/** Records a dry run, after its READ ONLY transactions: Lapse's own record, never a deletion. */
export async function recordPreview(
  database: Database,
  r: RunStart & { finishedAt: Date; outcome: Outcome; reason: string | null; asOf: string },
  preview: Preview,
  slaStatus: SlaStatus,
): Promise<void> {
  const at = (instant: string): Sql => typed(instant, 'timestamptz');
  const recorded = sql`select retention.record_preview(${r.policy}, ${r.runId}::uuid, ${r.version},
    ${at(r.startedAt.toISOString())}, ${at(r.finishedAt.toISOString())}, ${at(r.asOf)}, ${r.trigger}, ${r.actor}, ${r.correlationId},
    ${r.outcome}, ${r.reason}, ${JSON.stringify(preview)}::jsonb, ${JSON.stringify(preview.kept)}::jsonb, ${slaStatus})`;
  await askOne(database, query(recorded, nothing), BEGIN);
}
