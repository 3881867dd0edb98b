/**
 * What is expected to run, and how late it may: every policy and every job of Lapse by the schedule that was
 * deployed with it (vercel.json), else by the one it declares.
 */
import deployed from '../../vercel.json';
import { cronPath, MAX_DURATION_SECONDS, ORDER_JOB, OWN_JOBS, type OwnJob } from '../platform/jobs';
import type { Policy } from '../policies/contract';
import { type Declared, ownJobs } from '../policies/crons';
import { lastDue, nextRun } from '../policies/next-run';

export interface Expected {
  readonly name: string;
  readonly kind: 'policy' | 'job';
  /** Of the run that is due; a resumption is a second chance for it. */
  readonly schedule: string;
  readonly allowedSeconds: number;
  readonly latenessSeconds: number;
}

/** Half the interval, so that it is reported before the next is due; at most two hours, for a nightly run. */
const MOST_LATENESS_SECONDS = 7_200;
/** A cron fires somewhere within its minute, and a cold start takes seconds: earlier would be noise. */
const LEAST_LATENESS_SECONDS = 150;
const SOME_DAY = new Date('2024-01-01T00:00:00Z');

export const expectedOf = (policy: Policy): Expected => {
  const schedule = scheduleOf(policy.name, policy.schedule.run);
  return {
    name: policy.name,
    kind: 'policy',
    schedule,
    allowedSeconds: policy.allowedSeconds,
    latenessSeconds: policy.allowedLatenessSeconds ?? latenessOf(schedule),
  };
};

export function declaredJob(name: string): OwnJob {
  const declared = [...OWN_JOBS, ORDER_JOB].find((j) => j.name === name);
  if (!declared)
    throw new TypeError(`"${name}" is not in OWN_JOBS of lib/policies/crons.ts: add it, then npm run crons`);
  return declared;
}

export function expectedJob(name: string): Expected {
  const schedule = scheduleOf(name, declaredJob(name).schedule);
  const latenessSeconds = latenessOf(schedule);
  return { name, kind: 'job', schedule, allowedSeconds: MAX_DURATION_SECONDS, latenessSeconds };
}

export const allExpected = (declared: Declared): Expected[] => [
  ...declared.policies.map(expectedOf),
  ...ownJobs(declared).map((j) => expectedJob(j.name)),
];

const scheduleOf = (name: string, declared: string): string =>
  deployed.crons.find((c) => c.path === cronPath(name))?.schedule ?? declared;

/** Seconds from one run to the next. */
export function intervalOf(schedule: string, from = SOME_DAY): number {
  const next = nextRun(schedule, from);
  const after = next && nextRun(schedule, next);
  return next && after ? (after.getTime() - next.getTime()) / 1000 : Number.POSITIVE_INFINITY;
}

const latenessOf = (schedule: string): number =>
  Math.max(LEAST_LATENESS_SECONDS, Math.min(MOST_LATENESS_SECONDS, intervalOf(schedule) / 2));

/** The latest instant a run had to have begun by, when it may begin so many seconds late. */
export const dueBefore = (schedule: string, now: Date, lateSeconds: number): Date | null =>
  lastDue(schedule, new Date(now.getTime() - lateSeconds * 1000));
