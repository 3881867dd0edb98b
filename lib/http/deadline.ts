/** When a request has to be finished: the function's own deadline, less what answering takes (R2). */
import { getDeadline } from '@vercel/functions';

/** For the end of the record, the flush of the alerts and the answer on a slow day. */
const SAFETY_MS = 15_000;
/** A budget of a few seconds still has to end in time: never more than a fifth of it is kept back. */
const SAFETY_SHARE = 0.2;

/**
 * `maxDurationSeconds` is the route's own; every entry of `lower` (a setting, a parameter) can only shorten it.
 * A lowered budget is what the run may take, so nothing is kept back from it.
 */
export function deadlineOf(
  startedAt: Date,
  maxDurationSeconds: number,
  lower: readonly (number | undefined)[],
): Date {
  const start = startedAt.getTime();
  const platform = getDeadline()?.getTime() ?? start + maxDurationSeconds * 1000;
  const safety = Math.min(SAFETY_MS, (platform - start) * SAFETY_SHARE);
  const asked = lower.filter((s) => s !== undefined).map((s) => start + s * 1000);
  return new Date(Math.min(platform - safety, ...asked));
}
