/**
 * Which looks are brought forward: a call that has the database awake anyway also does those of other jobs that would
 * wake it before a policy's own schedule does. So on an idle day the policies' schedules are all that wakes it. Pure.
 */
import type { Policy } from '../policies/contract';
import { nextRun } from '../policies/next-run';
import { expectedOf, intervalOf } from './expected';

export interface Planned {
  readonly name: string;
  readonly schedule: string;
  /** Null: not known, so its own call looks. */
  readonly looked: Date | null;
  readonly due: Date;
}

/** At least half its own interval apart: brought forward, a job looks no more often than its schedule has it. */
const isTime = ({ schedule, looked }: Planned, now: Date): boolean =>
  looked !== null && now.getTime() - looked.getTime() >= (intervalOf(schedule, now) / 2) * 1000;

/** `awakeAt`: when the database is woken next whatever is known. */
export const looksToShare = (jobs: readonly Planned[], now: Date, awakeAt: Date): string[] =>
  jobs.filter((job) => isTime(job, now) && job.due < awakeAt).map(({ name }) => name);

/** The next of the policies' own schedules; none of them within the safety look is as good as none. */
export function nextWake(policies: readonly Policy[], now: Date, safetySeconds: number): Date {
  const runs = policies.flatMap((p) => nextRun(expectedOf(p).schedule, now)?.getTime() ?? []);
  return new Date(Math.min(now.getTime() + safetySeconds * 1000, ...runs));
}
