/** Table retention.run, and the fence in retention.policy_state that goes with a run. */
import { z } from 'zod';
import type { Database, Statement } from '../../platform/database';
import type { Kept, Outcome, Preview, SlaStatus } from '../../platform/outcome';
import { answerTimeoutMs, session } from '../../platform/session';
import { NEXT_TRANSACTION } from '../statement/pressure';

/** Beginning waits for a batch of an earlier run that is still under way. */
const BEGIN_LOCK_MS = 10_000;
export const BEGIN_STATEMENT_MS = 15_000;

export interface RunStart {
  readonly policy: string;
  readonly runId: string;
  readonly version: string;
  readonly startedAt: Date;
  readonly trigger: 'cron' | 'manual';
  readonly actor: string;
  readonly correlationId: string;
}

export const Begun = z.object({
  fence: z.coerce.string().nullable(),
  as_of: z.string().nullable(),
  refused: z.enum(['paused', 'stopped']).nullable(),
  next: z.coerce.number().nullable(),
});
export type Begun = z.infer<typeof Begun>;

export const beginSession = (): Statement => session(BEGIN_STATEMENT_MS, BEGIN_LOCK_MS);

/** One row, a Begun: the new fence, and the instant to count back from, never later than the database's own clock. */
export const beginRun = (r: RunStart): Statement => ({
  text: `select fence::text, to_char(as_of at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as as_of, refused, ${NEXT_TRANSACTION} as next
    from retention.begin_run($1, $2::uuid, $3, $4::timestamptz, $5, $6, $7)`,
  params: [r.policy, r.runId, r.version, r.startedAt.toISOString(), r.trigger, r.actor, r.correlationId],
});

export interface RunEnd {
  readonly policy: string;
  readonly runId: string;
  readonly outcome: Outcome;
  readonly reason: string | null;
  readonly finishedAt: Date;
  readonly picked: number;
  readonly kept: Partial<Kept>;
  readonly slaStatus: SlaStatus;
}

const END = 'retention.end_run($1, $2::uuid, $3, $4, $5::timestamptz, $6::bigint, $7::jsonb, $8)';
const endParams = (r: RunEnd) => [
  r.policy,
  r.runId,
  r.outcome,
  r.reason,
  r.finishedAt.toISOString(),
  r.picked,
  JSON.stringify(r.kept),
  r.slaStatus,
];

/** Ends the run and gives the counts of its receipts, which are the truth. */
export async function endRun(database: Database, r: RunEnd): Promise<RunTotals> {
  const [, , rows] = await database.transaction(
    [
      beginSession(),
      { text: `select ${END}`, params: endParams(r) },
      {
        text: `select batches, deleted::text, dependants_deleted::text, files_queued::text, bytes_freed::text, by_rule
          from retention.run where id = $1::uuid`,
        params: [r.runId],
      },
    ],
    { timeoutMs: answerTimeoutMs(BEGIN_STATEMENT_MS) },
  );
  return RunTotals.parse(rows?.[0]);
}

/**
 * Ends the run within its first request when nothing is due: an idle night costs one request. One row `{ ended }`. Not the
 * first run of a version: whether preflight refuses it is known only when the answer is here.
 */
export const endIfIdle = (r: RunEnd, version: string): Statement => ({
  text: `select (case when current_setting('lapse.due', true) = 'false' and exists (
      select 1 from retention.policy_version where policy = $1 and version = $9 and in_force_at is not null
    ) then ${END}::text end) is not null as ended`,
  params: [...endParams(r), version],
});

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
  await database.transaction(
    [
      beginSession(),
      {
        text: `select retention.record_preview($1, $2::uuid, $3, $4::timestamptz, $5::timestamptz, $6::timestamptz, $7, $8, $9,
          $10, $11, $12::jsonb, $13::jsonb, $14)`,
        params: [
          r.policy,
          r.runId,
          r.version,
          r.startedAt.toISOString(),
          r.finishedAt.toISOString(),
          r.asOf,
          r.trigger,
          r.actor,
          r.correlationId,
          r.outcome,
          r.reason,
          JSON.stringify(preview),
          JSON.stringify(preview.kept),
          slaStatus,
        ],
      },
    ],
    { timeoutMs: answerTimeoutMs(BEGIN_STATEMENT_MS) },
  );
}

const RecentRun = z.object({
  id: z.string(),
  policy: z.string(),
  mode: z.enum(['delete', 'dry_run']),
  trigger: z.string(),
  actor: z.string(),
  started_at: z.string(),
  finished_at: z.string().nullable(),
  outcome: z.enum(['succeeded', 'interrupted', 'skipped', 'errored']).nullable(),
  reason: z.string().nullable(),
  batches: count,
  deleted: count,
  files_queued: count,
  bytes_freed: count,
  kept: z.record(z.string(), count),
  duration_seconds: z.coerce.number().nullable(),
  sla_status: z.string().nullable(),
});
export type RecentRun = z.infer<typeof RecentRun>;

/** The newest runs of each policy, newest first. */
export async function recentRuns(database: Database, perPolicy: number): Promise<RecentRun[]> {
  const [, rows] = await database.transaction(
    [
      session(5_000),
      {
        text: `select r.id::text, r.policy, r.mode, r.trigger, r.actor, r.started_at::text, r.finished_at::text, r.outcome, r.reason,
            r.batches, r.deleted::text, r.files_queued::text, r.bytes_freed::text, r.kept, r.duration_seconds, r.sla_status
          from retention.policy_state s cross join lateral (
            select * from retention.run where policy = s.policy order by started_at desc limit $1::int
          ) r order by r.policy, r.started_at desc`,
        params: [perPolicy],
      },
    ],
    { readOnly: true, timeoutMs: answerTimeoutMs(5_000) },
  );
  return z.array(RecentRun).parse(rows);
}
