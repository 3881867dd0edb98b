/** What a run answers: the same object in the HTTP answer, the log and the record. */
import type { DrainResult } from '../outbox/drain';

/** `succeeded` drained · `interrupted` cursor kept · `skipped` nothing tried, no error · `errored` someone is told. */
export type Outcome = 'succeeded' | 'interrupted' | 'skipped' | 'errored';
export type Mode = 'delete' | 'dry_run';
export type SlaStatus = 'within_sla' | 'warning' | 'breached';

/**
 * Why a picked row stayed. `condition`: the policy's `where` is not true for it. `busy`: locked by someone else, or
 * changed while we looked.
 */
export const KEPT_REASONS = [
  'held',
  'extended',
  'dead_letter',
  'referenced',
  'not_expired',
  'condition',
  'unknown_rule',
  'busy',
] as const;
export type KeptReason = (typeof KEPT_REASONS)[number];
export type Kept = Record<KeptReason, number>;

/** What a dry run found (R9). Counts are exact when `complete`, else what was seen until time ran out. */
export interface Preview {
  readonly complete: boolean;
  readonly expired: number;
  readonly bytes: number;
  readonly files: number;
  readonly byRule: Record<string, { expired: number; bytes: number; files: number }>;
  readonly kept: Kept;
  /** Rows that would go along with those, by table. */
  readonly dependants: Record<string, number>;
  /** Hash of every row that would go, and of what goes along with each, in the order of the walk. */
  readonly rowsSha256: string;
  /** What keeps the policy from deleting, each with what to do about it; empty when nothing does. */
  readonly blockers: readonly { readonly problem: string; readonly remedy: string }[];
  /** Whole partitions that would be dropped, with their bounds; their rows are among `expired`. */
  readonly partitions: readonly {
    readonly name: string;
    readonly from: string | null;
    readonly to: string | null;
    readonly rows: number;
  }[];
  readonly sampleKeys: readonly string[];
  /** The clocks of the oldest and newest row that would go, ISO 8601 in UTC with microseconds. */
  readonly oldest: string | null;
  readonly newest: string | null;
  readonly estimatedRuns: number;
  /** G3: what an approval of exactly this names, and until when; null when there is nothing to approve yet. */
  readonly approvable: { readonly digest: string; readonly expiresAt: string } | null;
}

export interface RunResult {
  readonly policy: string;
  readonly runId: string | null;
  readonly mode: Mode;
  readonly outcome: Outcome;
  /** Why not `succeeded`: `locked`, `paused`, `time`, `limit`, `busy`, `preflight`, `redis`, … ; null when drained. */
  readonly reason: string | null;
  /** One sentence for the reader, with what to do next where there is something to do. */
  readonly message: string;
  readonly correlationId: string;
  /** How rows were found: by the index, tenant by tenant, by whole partitions, or, for a large backlog, block by block. */
  readonly path?: 'index' | 'tenant' | 'heap' | 'partition';
  /** The instant retention is counted back from, fixed for the pass. */
  readonly asOf: string;
  readonly startedAt: string;
  readonly durationSeconds: number;
  readonly batches: number;
  readonly picked: number;
  readonly deleted: number;
  readonly dependantsDeleted: number;
  readonly filesQueued: number;
  readonly bytesFreed: number;
  readonly byRule: Record<string, { deleted: number; bytes: number }>;
  readonly kept: Kept;
  /** Requests sent to PostgreSQL and commands sent to Redis by this run. */
  readonly requests: { postgres: number; redis: number };
  readonly slaStatus: SlaStatus;
  /** Only when skipped because another run holds the lease. */
  readonly heldBy?: { readonly holder: string; readonly secondsLeft: number };
  /** Only when the run queued files and the outbox was drained behind it. */
  readonly files?: DrainResult;
  /** Only when the rollout's step or an approval bounds this run: it may delete so many rows. */
  readonly bounded?: { readonly by: 'rollout' | 'approval'; readonly rows: number };
  /** Only for a dry run. */
  readonly preview?: Preview;
}

export const noneKept = (): Kept => ({
  held: 0,
  extended: 0,
  dead_letter: 0,
  referenced: 0,
  not_expired: 0,
  condition: 0,
  unknown_rule: 0,
  busy: 0,
});

/** M4: the share of its allowed duration a run took, against the two thresholds in percent. */
export function slaStatus(
  seconds: number,
  allowedSeconds: number,
  sla: { readonly warningPercent: number; readonly criticalPercent: number },
): SlaStatus {
  const percent = (seconds / allowedSeconds) * 100;
  if (percent >= sla.criticalPercent) return 'breached';
  return percent >= sla.warningPercent ? 'warning' : 'within_sla';
}
