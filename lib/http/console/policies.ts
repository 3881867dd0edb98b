/** Every policy as the start page shows it: what it is doing, whether it may, and when it comes next. */
import { z } from 'zod';
import { type RecentRun, recentRuns } from '../../engine/run/record';
import { maybeRow, query, rows } from '../../platform/query';
import { ask } from '../../platform/session';
import { sql, utc } from '../../platform/sql';
import type { Policy } from '../../policies/contract';
import { nextRun } from '../../policies/next-run';
import type { Services } from '../../services';

const Paused = z.object({
  policy: z.string(),
  paused: z.boolean(),
  paused_by: z.string().nullable(),
  paused_reason: z.string().nullable(),
});
const STATES = query(
  sql`select policy, paused, paused_by, paused_reason from retention.policy_state`,
  rows(Paused),
);
const STOPPED = query(
  sql`select stopped_by, reason, ${utc(sql`stopped_at`, 'ms')} as at from retention.kill_switch where stopped`,
  maybeRow(z.object({ stopped_by: z.string(), reason: z.string(), at: z.string() })),
);
const LIMITS = { statementMs: 5_000, readOnly: true } as const;

export interface PolicyNow {
  readonly policy: Policy;
  readonly paused: { readonly by: string; readonly why: string } | null;
  readonly run: RecentRun | null;
  readonly next: Date | null;
}

export interface PoliciesNow {
  /** For all, and by whom. */
  readonly stopped: { readonly by: string; readonly why: string; readonly at: string } | null;
  readonly policies: readonly PolicyNow[];
}

/** Two requests, however long the history is. Throws DatabaseError. */
export async function policiesNow({ reading, policies, clock }: Services): Promise<PoliciesNow> {
  const [{ states, stopped }, runs] = await Promise.all([
    ask(reading, { states: STATES, stopped: STOPPED }, LIMITS),
    recentRuns(reading, 1),
  ]);
  return {
    stopped: stopped && { by: stopped.stopped_by, why: stopped.reason, at: stopped.at },
    policies: policies.map((policy) => {
      const state = states.find((s) => s.policy === policy.name);
      return {
        policy,
        paused: state?.paused ? { by: state.paused_by ?? 'unknown', why: state.paused_reason ?? '' } : null,
        run: runs.find((r) => r.policy === policy.name) ?? null,
        next: nextRun(policy.schedule.run, clock()),
      };
    }),
  };
}
