/** One run: how far it is while it deletes, why it stopped, what stayed and why, its batches with their receipts. */
import { z } from 'zod';
import { readProgress } from '../../engine/run/checkpoint';
import { maybeRow, type Query, query, rows } from '../../platform/query';
import { ask, askOne } from '../../platform/session';
import { constant, sql, utc } from '../../platform/sql';
import type { Services } from '../../services';
import { KeptBelowRecord } from './kept';
import { liveOf } from './policies';
import { ended, type Live, type RunFacts, running, type State, secondsLeft } from './sentences';

/** Of the newest batches; each has its receipt, and the audit pages have all. */
const BATCHES = 25;
/** Of files that wait: enough to say that many do. */
const MOST_FILES = 1_000;
const LIMITS = { statementMs: 5_000, readOnly: true } as const;

const at = z.coerce.date();
const count = z.coerce.number();

const Run = z.object({
  id: z.string(),
  policy: z.string(),
  mode: z.enum(['delete', 'dry_run']),
  trigger: z.string(),
  actor: z.string(),
  outcome: z.enum(['succeeded', 'interrupted', 'skipped', 'errored']).nullable(),
  reason: z.string().nullable(),
  version: z.string(),
  as_of: at,
  started_at: at,
  finished_at: at.nullable(),
  deleted: count,
  dependants: count,
  batches: count,
  files: count,
  bytes: count,
  by_rule: z.record(z.string(), z.object({ deleted: count, bytes: count })),
  kept: z.record(z.string(), count),
  kept_below: KeptBelowRecord,
  sealed_at: at.nullable(),
  preview: z
    .object({
      expired: count,
      bytes: count,
      files: count,
      estimatedRuns: count,
      byRule: z.record(z.string(), z.object({ expired: count, bytes: count, files: count })),
      blockers: z.array(z.object({ problem: z.string(), remedy: z.string() })),
      sampleKeys: z.array(z.string()),
      oldest: z.string().nullable(),
      newest: z.string().nullable(),
      approvable: z.object({ digest: z.string(), expiresAt: z.string() }).nullable(),
    })
    .nullable(),
});
export type RunRecord = z.output<typeof Run>;

/** Of a run under way the record does not say it yet. */
const BATCHES_SO_FAR = sql`coalesce((select max(c.seq) from retention.receipt c where c.run = run.id), 0)`;

const runById = (id: string): Query<RunRecord | null> =>
  query(
    sql`select id::text, policy, mode, trigger, actor, outcome, reason, policy_version as version, ${utc(sql`as_of`, 'ms')} as as_of,
        ${utc(sql`started_at`, 'ms')} as started_at, ${utc(sql`finished_at`, 'ms')} as finished_at, deleted::text,
        dependants_deleted::text as dependants, ${BATCHES_SO_FAR} as batches, files_queued::text as files, bytes_freed::text as bytes, by_rule, kept, kept_below,
        ${utc(sql`sealed_at`, 'ms')} as sealed_at, preview
      from retention.run where id = ${id}::uuid`,
    maybeRow(Run),
  );

const Batch = z.object({
  seq: count,
  at,
  deleted: count,
  files: count,
  bytes: count,
  kept: z.record(z.string(), count),
});
type ListedBatch = z.output<typeof Batch>;
const newestBatches = (id: string): Query<ListedBatch[]> =>
  query(
    sql`select seq, ${utc(sql`committed_at`, 'ms')} as at, deleted::text, files::text, bytes::text, kept
      from retention.receipt where run = ${id}::uuid order by seq desc limit ${constant(BATCHES)}`,
    rows(Batch),
  );

const filesWaiting = (id: string): Query<number> =>
  query(
    sql`select count(*)::int as n from (select 1 from retention.outbox where run = ${id}::uuid and state in ('pending', 'deleting')
      limit ${constant(MOST_FILES)}) o`,
    (found) => z.object({ n: z.number() }).parse(found[0]).n,
  );

export interface RunNow {
  readonly record: RunRecord;
  readonly state: State;
  readonly live: Live | null;
  readonly batches: readonly ListedBatch[];
  /** Of its files, not deleted yet; `MOST_FILES` or more are said to be that many. */
  readonly filesWaiting: number;
}

/** Null: no run of this id has a record (yet). */
export async function runNow(s: Services, id: string): Promise<RunNow | null> {
  const found = await ask(
    s.reading,
    { record: runById(id), batches: newestBatches(id), files: filesWaiting(id) },
    LIMITS,
  );
  if (found.record === null) return null;
  const { record } = found;
  const live = await liveIn(s, record);
  return {
    record,
    batches: found.batches,
    filesWaiting: found.files,
    live,
    state: stateOf(record, live, s.clock()),
  };
}

/** What a page polls while it is looked at: two reads, one of each service, each of one row. */
export interface Beat {
  readonly ended: boolean;
  readonly word: string;
  readonly sentence: string;
  /** From 0 to 1; null while the total is not known. */
  readonly share: number | null;
  readonly secondsLeft: number | null;
  readonly batches: number;
  /** ISO 8601, of the server's clock. */
  readonly at: string;
}

const Ending = Run.omit({ preview: true });
const beatOf = (id: string): Query<z.output<typeof Ending> | null> =>
  query(
    sql`select id::text, policy, mode, trigger, actor, outcome, reason, policy_version as version, ${utc(sql`as_of`, 'ms')} as as_of,
        ${utc(sql`started_at`, 'ms')} as started_at, ${utc(sql`finished_at`, 'ms')} as finished_at, deleted::text, '0' as dependants, ${BATCHES_SO_FAR} as batches,
        '0' as files, '0' as bytes, '{}'::jsonb as by_rule, kept, kept_below, null as sealed_at
      from retention.run where id = ${id}::uuid`,
    maybeRow(Ending),
  );

export async function beat(s: Services, id: string): Promise<Beat | null> {
  const found = await askOne(s.reading, beatOf(id), LIMITS);
  if (found === null) return null;
  const record = { ...found, preview: null };
  const live = await liveIn(s, record);
  const { word, sentence } = stateOf(record, live, s.clock());
  return {
    ...{ ended: record.outcome !== null, word, sentence, share: shareOf(live), batches: record.batches },
    secondsLeft: live ? secondsLeft(live, record.started_at) : null,
    at: s.clock().toISOString(),
  };
}

export const shareOf = (live: Live | null): number | null =>
  live?.total ? Math.min(1, live.processed / live.total) : null;

/** Without Redis no one can say how far it is. */
async function liveIn({ redis }: Services, record: RunRecord): Promise<Live | null> {
  if (record.outcome !== null) return null;
  const progress = await readProgress(redis, [record.policy]).catch(() => null);
  return liveOf(record, progress?.get(record.policy));
}

function stateOf(record: RunRecord, live: Live | null, now: Date): State {
  if (live) return running(live, record.started_at, now);
  if (record.outcome !== null) return ended(factsOf(record));
  return {
    ...{ mark: '▶', word: 'Unheard', tone: 'wait' as const },
    sentence:
      'It has begun and nothing is heard of it: Redis does not answer, or its runner died; then the next run takes over.',
  };
}

const factsOf = (r: RunRecord): RunFacts => ({
  ...{
    mode: r.mode,
    outcome: r.outcome,
    reason: r.reason,
    deleted: r.deleted,
    batches: r.batches,
    kept: r.kept,
    keptBelow: r.kept_below,
  },
  ...{ startedAt: r.started_at, finishedAt: r.finished_at },
  wouldGo: r.preview ? { rows: r.preview.expired, runs: r.preview.estimatedRuns } : null,
});
