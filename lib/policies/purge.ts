/**
 * P8. The purge of a soft-delete policy, derived from it: rows marked as deleted are removed for good, with their
 * files and dependants, once their grace period is over. A policy of its own with its own route, runs and receipts.
 */
import { definePolicy, type Policy } from './contract';
import { hoursLater } from './next-run';
import { strategyOf } from './strategies';

const purgeName = (policy: { name: string }): string => `${policy.name}-purge`;

/** Null unless the policy marks rows instead of deleting them. */
export function purgeOf(policy: Policy): Policy | null {
  const { grace } = strategyOf(policy);
  if (grace === null) return null;
  const { name, table, key, scope, dependants, contents, files, ground, knownTriggers, schedule } = policy;
  return definePolicy({
    name: purgeName(policy),
    description: `Rows of ${table.name} that ${name} or the application marked as deleted go for good after their grace period.`,
    justification: `The grace period is there to take a deletion back; after it the deletion is carried out. ${policy.justification}`,
    ground,
    // An hour behind the marking, so that the two never ask for the same rows.
    schedule: {
      run: hoursLater(schedule.run, 1),
      ...(schedule.resume ? { resume: hoursLater(schedule.resume, 1) } : {}),
    },
    allowedSeconds: policy.allowedSeconds,
    ...(policy.allowedLatenessSeconds ? { allowedLatenessSeconds: policy.allowedLatenessSeconds } : {}),
    table,
    key,
    clock: { column: grace.mark, type: 'timestamptz' },
    rules: [{ label: 'purge', keepFor: grace.period }],
    scope,
    dependants,
    ...(contents ? { contents } : {}),
    files,
    // A row that is not marked has no clock yet.
    quality: { emptyClocks: null },
    knownTriggers,
  });
}
