/** On which days a policy will delete: each by the last run of that day, which takes all that comes due until then. */
import type { Policy } from '../../policies/contract';
import { lastDue } from '../../policies/next-run';
import { expectedOf } from '../expected';

const DAY_MS = 86_400_000;

/** The last runs of today and of the days after it, as far as they are still ahead. */
export function runsAhead(policy: Policy, now: Date, days: number): Date[] {
  const { schedule } = expectedOf(policy);
  const midnight = Math.floor(now.getTime() / DAY_MS) * DAY_MS;
  return Array.from({ length: days }, (_, day) => midnight + (day + 1) * DAY_MS).flatMap((end) => {
    const last = lastDue(schedule, new Date(end - 1));
    return last && last > now && last.getTime() >= end - DAY_MS ? [last] : [];
  });
}
