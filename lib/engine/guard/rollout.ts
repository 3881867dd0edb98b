/**
 * Progressive rollout (R10): each version of a policy may first delete 10 rows, then 100, then 1000, then all
 * that has expired, one step per clean run. A mistake in a new rule costs ten rows, not a table.
 */

/** Few enough to be restored manually, then ten times as many after each step that could be checked. */
export const STEPS = [10, 100, 1000] as const;

/** Rows this run may delete; null when the rollout is over. `cleanRuns` counts those that deleted something. */
export const stepOf = (cleanRuns: number): number | null => STEPS[cleanRuns] ?? null;

export const rolloutMessage = (step: number): string =>
  `step ${STEPS.indexOf(step as (typeof STEPS)[number]) + 1} of 4 of the rollout: ${step} rows; the next clean run may delete ${stepOf(STEPS.indexOf(step as (typeof STEPS)[number]) + 1) ?? 'all'}`;
