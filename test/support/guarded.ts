/** An engine with its guard rails on, and ways to move the clocks of runner and database and to approve what a dry run showed. */

import type { RunResult } from '@/lib/engine/run/result';
import type { RunRequest } from '@/lib/engine/run/run';
import { runPolicy } from '@/lib/engine/run/run';
import type { Policy } from '@/lib/policies/contract';
import { DAY, databaseClock, type Engine, engine, NOW, protect, runRequest } from './engine';

export interface Guarded extends Engine {
  /** A run at this time by both clocks, the runner's and the database's. */
  at(now: Date, policy: Policy, request?: Partial<RunRequest>): Promise<RunResult>;
  /** As the control endpoint does it: names the digest of a dry run. */
  approve(preview: RunResult, at?: Date): Promise<void>;
  /** Statistics as autovacuum would leave them. */
  analyze(table?: string): Promise<void>;
}

export const later = (days: number): Date => new Date(NOW.getTime() + days * DAY * 1000);

export async function guarded(env: Record<string, string> = {}): Promise<Guarded> {
  const e = await engine({
    env: {
      LAPSE_MASS_DELETION_GUARD: 'on',
      LAPSE_PROGRESSIVE_ROLLOUT: 'off',
      LAPSE_COOLING_OFF_DAYS: '7',
      ...env,
    },
  });
  const at: Guarded['at'] = async (now, policy, request) => {
    await databaseClock(e.db, now);
    await protect(e.db, policy);
    return runPolicy({ ...e.services, clock: () => now }, policy, runRequest(now, request));
  };
  await databaseClock(e.db, NOW);
  return {
    ...e,
    at,
    run: (policy, request) => at(NOW, policy, request),
    analyze: async (table = 'things') => {
      await e.db.sql(`analyze ${table}`);
    },
    approve: async (preview, at = NOW) => {
      await e.db.sql(
        `insert into retention.approval (policy, version, preview, digest, as_of, expired, facts, expires_at, approved_by, reason, approved_at)
         select policy, policy_version, id, preview->'approvable'->>'digest', as_of, (preview->>'expired')::bigint, preview,
           (preview->'approvable'->>'expiresAt')::timestamptz, 'alice', 'test', $2::timestamptz
         from retention.run where id = $1::uuid`,
        [preview.runId, at.toISOString()],
      );
    },
  };
}

/** Rows `from` to `to` days old, `perDay` of each. */
export async function aged(e: Engine, from: number, to: number, perDay: number): Promise<void> {
  await e.db.sql(
    `insert into things (at) select $1::timestamptz - make_interval(days => d) - make_interval(secs => i)
     from generate_series($2::int, $3::int) d, generate_series(1, $4::int) i`,
    [NOW.toISOString(), from, to, perDay],
  );
}

/** Deterministic, so that a failure can be run again. */
export function dice(seed: number): (n: number) => number {
  let state = seed;
  return (n) => {
    state = (state * 1664525 + 1013904223) % 4294967296;
    return Math.floor((state / 4294967296) * n);
  };
}
