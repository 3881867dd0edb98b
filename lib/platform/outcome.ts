/** The words for how a run ended, what it found and why a row stayed: the same in every record, answer and alert. */

import type { ArchiveError, BlobFailure, DatabaseFailure } from './errors';

/** `succeeded` drained · `interrupted` cursor kept · `skipped` nothing tried, no error · `errored` an alert is sent. */
export type Outcome = 'succeeded' | 'interrupted' | 'skipped' | 'errored';
export type Mode = 'delete' | 'dry_run';
export type SlaStatus = 'within_sla' | 'warning' | 'breached';

/**
 * Why a run of a policy did not simply succeed. Every one has a sentence for the reader of the console
 * (lib/http/console/sentences.ts): a new one without it does not compile.
 */
export type Reason =
  | 'time'
  /** The runner died; the next run closed its record. */
  | 'lost'
  | 'limit'
  | 'rollout'
  | 'approval'
  | 'busy'
  | 'unproved'
  | 'lease'
  | 'fenced'
  | 'locked'
  | 'paused'
  | 'stopped'
  | 'breaker'
  | 'outbox'
  | 'cooling'
  | 'guarded'
  | 'preflight'
  | 'redis'
  | `database.${DatabaseFailure}`
  | `blob.${BlobFailure}`
  | `archive.${ArchiveError['failure']}`
  | typeof ROW_TOO_LARGE;

/** One row alone is more than a file of an archive holds. */
export const ROW_TOO_LARGE = 'archive.row_too_large';

/** How a run ends, and the sentence that explains it. */
export interface Ending<Why extends string = Reason> {
  readonly outcome: Outcome;
  readonly reason: Why | null;
  readonly message: string;
}

/**
 * Why a picked row stayed. `condition`: the policy's `where` is not true for it. `unnoticed`: its organization was not
 * told in time. `busy`: locked by someone else, or changed while we looked. `changed`: not as it was archived; the next
 * batch archives it anew. `newest`: among the newest of its group, which stay. `one_of_period`: the one that stays of its period.
 */
export const KEPT_REASONS = [
  'held',
  'extended',
  'dead_letter',
  'referenced',
  'not_expired',
  'condition',
  'newest',
  'one_of_period',
  'unnoticed',
  'unknown_rule',
  'busy',
  'changed',
] as const;
type KeptReason = (typeof KEPT_REASONS)[number];
export type Kept = Record<KeptReason, number>;

/**
 * Rows that stay, as a batch counts them: by reason alone, or, where a row of a table below keeps them, by both:
 * `{"held": 3, "held by public.invoices": 9}`. Each row stands under one name.
 */
export type KeptBy = Readonly<Record<string, number>>;
/** Of the rows that stay for a reason, how many are kept by a row below them, by its table. */
export type KeptBelow = Partial<Record<KeptReason, Record<string, number>>>;

/** Between a reason and a table; no reason has a blank in it. */
const BY = ' by ';

export function keptName(name: string): { readonly reason: KeptReason; readonly by: string | null } | null {
  const [first] = name.split(BY, 1);
  const reason = KEPT_REASONS.find((known) => known === first);
  if (reason === undefined) return null;
  return { reason, by: name === reason ? null : name.slice(reason.length + BY.length) };
}

export const keptUnder = (reason: string, table: string): string => `${reason}${BY}${table}`;

/** Whatever keeps them. A reason that only another version knows is left out. */
export function keptTotals(counts: KeptBy): Kept {
  const totals = noneKept();
  for (const [name, n] of Object.entries(counts)) {
    const kept = keptName(name);
    if (kept) totals[kept.reason] += n;
  }
  return totals;
}

export function keptBelow(counts: KeptBy): KeptBelow {
  const below: KeptBelow = {};
  for (const [name, n] of Object.entries(counts)) {
    const kept = keptName(name);
    if (kept?.by && n !== 0) below[kept.reason] = { ...below[kept.reason], [kept.by]: n };
  }
  return below;
}

/** Adds counts to others. */
export function addKept(to: Record<string, number>, counts: KeptBy): void {
  for (const [name, n] of Object.entries(counts)) to[name] = (to[name] ?? 0) + n;
}

/** What a dry run found (R9). Counts are exact when `complete`, else what was seen until time ran out. */
export interface Preview {
  readonly complete: boolean;
  readonly expired: number;
  readonly bytes: number;
  readonly files: number;
  readonly byRule: Record<string, { expired: number; bytes: number; files: number }>;
  readonly kept: Kept;
  readonly keptBelow: KeptBelow;
  /**
   * At most so many of those kept as `referenced` may go in the same run after all, once the rows that keep them have gone with
   * others; 0 where what keeps a row here never leaves.
   */
  readonly mayFollow: number;
  /** Rows that would be deleted with those, by table. */
  readonly dependants: Record<string, number>;
  /** References that would be set to null with those, by the table of the rows that have them and stay. */
  readonly detached: Record<string, number>;
  /** Hash of every row that would be deleted and of everything deleted with it, in the order of the walk. */
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

export const noneKept = (): Kept => ({
  held: 0,
  extended: 0,
  dead_letter: 0,
  referenced: 0,
  not_expired: 0,
  condition: 0,
  newest: 0,
  one_of_period: 0,
  unnoticed: 0,
  unknown_rule: 0,
  busy: 0,
  changed: 0,
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
