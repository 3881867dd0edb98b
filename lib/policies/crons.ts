/**
 * The one page that shows everything that happens on a clock: vercel.json, written from the policies and from
 * Lapse's own jobs. A second, later entry per daily policy resumes a pass that ran out of time, and
 * costs one request when there is none.
 */

import { cronPath, ORDER_JOB, OWN_JOBS, type OwnJob } from '../platform/jobs';
import type { Policy } from './contract';
import type { OrderReview } from './order-contract';

export interface Cron {
  readonly path: string;
  readonly schedule: string;
}

/** What an installation declares; the rest follows from it. */
export interface Declared {
  readonly policies: readonly Policy[];
  readonly orderReview: OrderReview | undefined;
}

export const ownJobs = ({ orderReview }: Pick<Declared, 'orderReview'>): readonly OwnJob[] =>
  orderReview ? [...OWN_JOBS, ORDER_JOB] : OWN_JOBS;

/** `hobby`: Vercel's free plan allows one run a day per entry (PLATFORM §A3); the runs then also resume. */
export function crons(declared: Declared, plan: 'pro' | 'hobby'): Cron[] {
  const own = ownJobs(declared).map((j) => ({
    path: cronPath(j.name),
    schedule: plan === 'hobby' ? j.daily : j.schedule,
  }));
  const ofPolicies = declared.policies.flatMap((p) =>
    plan === 'hobby'
      ? [{ path: cronPath(p.name), schedule: daily(p.schedule.run) }]
      : [p.schedule.run, p.schedule.resume]
          .filter((s) => s !== undefined)
          .map((schedule) => ({ path: cronPath(p.name), schedule })),
  );
  return [...ofPolicies, ...own];
}

/** An hourly schedule becomes one at its minute, shortly after midnight. */
function daily(schedule: string): string {
  const [minute, hour, ...rest] = schedule.split(' ');
  return [/^\d+$/.test(minute ?? '') ? minute : '0', /^\d+$/.test(hour ?? '') ? hour : '0', ...rest].join(
    ' ',
  );
}

export function vercelJson(
  declared: Declared,
  plan: 'pro' | 'hobby',
  current: Record<string, unknown> = {},
): Record<string, unknown> & { crons: Cron[] } {
  return { $schema: 'https://openapi.vercel.sh/vercel.json', ...current, crons: crons(declared, plan) };
}
