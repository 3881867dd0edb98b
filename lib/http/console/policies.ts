/**
 * Every policy as the start page shows it: what it is doing, whether it may, how its last runs went, what waits past its date,
 * when it comes next. One request to PostgreSQL and two to Redis, however long the history: of each policy the newest runs, by
 * their index.
 */
import { z } from 'zod';
import { openBreakers } from '../../engine/guard/breaker';
import { type Cursor, readProgress } from '../../engine/run/checkpoint';
import { newestRuns } from '../../engine/run/newest';
import { maybeRow, type Query, query, rows } from '../../platform/query';
import { ask } from '../../platform/session';
import { type Sql, sql, utc } from '../../platform/sql';
import type { Policy } from '../../policies/contract';
import { nextRun } from '../../policies/next-run';
import type { Services } from '../../services';
import { KeptBelowRecord } from './kept';
import { OF_ITS_OWN } from './own-runs';
import { type Live, type PolicyFacts, policyState, type RunFacts, type State } from './sentences';

/** Of the chart, and of what is looked through for the last run that deletes. */
export const NIGHTS = 30;
const LIMITS = { statementMs: 5_000, readOnly: true } as const;

const at = z.coerce.date();
const count = z.coerce.number();
const named = (policies: readonly Policy[]): Sql =>
  sql`jsonb_array_elements_text(${JSON.stringify(policies.map((p) => p.name))}::jsonb) p(policy)`;

const RunRow = z.object({
  id: z.string(),
  policy: z.string(),
  mode: z.enum(['delete', 'dry_run']),
  outcome: z.enum(['succeeded', 'interrupted', 'skipped', 'errored']).nullable(),
  reason: z.string().nullable(),
  started_at: at,
  finished_at: at.nullable(),
  deleted: count,
  batches: count,
  kept: z.record(z.string(), count),
  kept_below: KeptBelowRecord,
  /** An erasure's: says nothing of how the policy stands. */
  aside: z.boolean(),
});
type RunRow = z.output<typeof RunRow>;

/** Newest first, of each policy. */
const lastRuns = (policies: readonly Policy[]): Query<RunRow[]> =>
  query(
    sql`select r.* from ${named(policies)} cross join lateral (
        select id::text, policy, mode, outcome, reason, ${utc(sql`started_at`, 'ms')} as started_at, ${utc(sql`finished_at`, 'ms')} as finished_at,
          deleted::text, batches, kept, kept_below, (outcome = 'succeeded') is true and ${OF_ITS_OWN} is not true as aside
        from ${newestRuns(sql`p.policy`, NIGHTS)} r
      ) r`,
    rows(RunRow),
  );

const Found = z.object({ policy: z.string(), expired: count, runs: count });
/** What the newest dry run of each policy would delete. */
const newestPreviews = (policies: readonly Policy[]): Query<z.output<typeof Found>[]> =>
  query(
    sql`select p.policy, r.expired, r.runs from ${named(policies)} cross join lateral (
        select coalesce(x.preview ->> 'expired', '0') as expired, coalesce(x.preview ->> 'estimatedRuns', '0') as runs from (
          select mode, preview, started_at from ${newestRuns(sql`p.policy`, NIGHTS)} r
        ) x where x.mode = 'dry_run' order by x.started_at desc limit 1
      ) r`,
    rows(Found),
  );

const STATES = query(
  sql`select policy, paused, paused_by, paused_reason, ${utc(sql`paused_at`, 'ms')} as paused_at from retention.policy_state where paused`,
  rows(
    z.object({
      policy: z.string(),
      paused_by: z.string(),
      paused_reason: z.string(),
      paused_at: at,
    }),
  ),
);
const STOPPED = query(
  sql`select stopped_by as by, reason as why, ${utc(sql`stopped_at`, 'ms')} as at from retention.kill_switch where stopped`,
  maybeRow(z.object({ by: z.string(), why: z.string(), at })),
);
const Backlog = z.object({
  policy: z.string(),
  waiting: count,
  seconds: count,
  verdict: z.string().nullable(),
  growing: count,
  measured_at: at,
});
const BACKLOG = query(
  sql`select b.policy, sum(b.waiting)::text as waiting, max(b.seconds_past_cutoff) as seconds,
      (select f.verdict from retention.forecast f where f.policy = b.policy) as verdict,
      coalesce((select f.growing from retention.forecast f where f.policy = b.policy), 0)::text as growing, ${utc(sql`min(b.measured_at)`, 'ms')} as measured_at
    from retention.backlog b group by b.policy`,
  rows(Backlog),
);

export interface PolicyNow {
  readonly policy: Policy;
  readonly state: State;
  readonly facts: PolicyFacts;
  /** Of its newest run that says how it is. */
  readonly runId: string | null;
  /** The share that is done, for a run under way whose total is known. */
  readonly share: number | null;
  /** Past its date when it was last measured; null when it was never. */
  readonly backlog: {
    readonly waiting: number;
    readonly seconds: number;
    readonly verdict: string | null;
    /** So many runs in a row left more than the one before. */
    readonly growing: number;
  } | null;
  /** Rows deleted by its last runs, the oldest first. */
  readonly nights: readonly number[];
}

export interface PoliciesNow {
  readonly stopped: PolicyFacts['stopped'];
  readonly policies: readonly PolicyNow[];
  /** False: Redis did not answer, so that what runs now is not known. */
  readonly live: boolean;
}

/** Throws DatabaseError; without Redis it answers what PostgreSQL knows. */
export async function policiesNow(
  { reading, redis, clock }: Services,
  policies: readonly Policy[],
): Promise<PoliciesNow> {
  const now = clock();
  const asked = {
    states: STATES,
    stopped: STOPPED,
    backlog: BACKLOG,
    runs: lastRuns(policies),
    previews: newestPreviews(policies),
  };
  const names = policies.map((p) => p.name);
  const [answers, progress, breakers] = await Promise.all([
    ask(reading, asked, LIMITS),
    policies.length === 0 ? new Map() : readProgress(redis, names).catch(() => null),
    openBreakers(redis, names).catch(() => null),
  ]);
  return {
    stopped: answers.stopped,
    live: progress !== null,
    policies: policies.map((policy) => {
      const runs = answers.runs.filter((r) => r.policy === policy.name);
      const deleting = runs.filter((r) => r.mode === 'delete');
      const telling = deleting.find((r) => !r.aside) ?? deleting[0] ?? runs[0] ?? null;
      const paused = answers.states.find((s) => s.policy === policy.name);
      const facts: PolicyFacts = {
        stopped: answers.stopped,
        paused: paused ? { by: paused.paused_by, why: paused.paused_reason, at: paused.paused_at } : null,
        live: liveOf(telling, progress?.get(policy.name)),
        breaker: breakerOf(breakers?.get(policy.name)),
        run:
          telling &&
          factsOf(
            telling,
            answers.previews.find((f) => f.policy === policy.name),
          ),
        next: nextRun(policy.schedule.run, now),
      };
      return {
        policy,
        facts,
        state: policyState(facts, now),
        runId: telling?.id ?? null,
        share: facts.live?.total ? Math.min(1, facts.live.processed / facts.live.total) : null,
        backlog: answers.backlog.find((b) => b.policy === policy.name) ?? null,
        nights: runs
          .filter((r) => r.mode === 'delete')
          .map((r) => r.deleted)
          .reverse(),
      };
    }),
  };
}

const breakerOf = (secondsLeft = 0) => (secondsLeft > 0 ? { secondsLeft } : null);

/** Under way only while the lease says so: a record that was never closed is a runner that died. */
export function liveOf(
  run: Pick<RunRow, 'id' | 'mode' | 'outcome' | 'started_at'> | null,
  progress: { readonly running: boolean; readonly cursor: Cursor | null } | undefined,
): (Live & { readonly startedAt: Date }) | null {
  if (run === null || run.mode !== 'delete' || run.outcome !== null || !progress?.running) return null;
  const cursor = progress.cursor?.runId === run.id ? progress.cursor : null;
  return {
    startedAt: run.started_at,
    processed: cursor?.processed ?? 0,
    total: cursor?.total ?? null,
    heardAt: cursor ? new Date(cursor.updatedAt) : null,
  };
}

const factsOf = (run: RunRow, found: z.output<typeof Found> | undefined): RunFacts => ({
  ...{ mode: run.mode, outcome: run.outcome, reason: run.reason, deleted: run.deleted, batches: run.batches },
  ...{ startedAt: run.started_at, finishedAt: run.finished_at, kept: run.kept, keptBelow: run.kept_below },
  wouldGo:
    (run.mode === 'dry_run' || run.reason === 'guarded') && found
      ? { rows: found.expired, runs: found.runs }
      : null,
});
