/** When a request has to be finished: the function's own deadline, less what answering takes (R2). */
import { getDeadline } from '@vercel/functions';

/** Reserved for the final record, flushing the alerts and a slow response. */
const SAFETY_MS = 15_000;
/** At most this share of the budget is reserved, so that a short run still gets work done. */
const SAFETY_SHARE = 0.2;

/**
 * `maxDurationSeconds` is the route's own; every entry of `lower` (a setting, a parameter) can only shorten it.
 * A lowered budget is what the run itself may take, so nothing is reserved from it.
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
