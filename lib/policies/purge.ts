/**
 * P8. The purge of a soft-delete policy, derived from it: rows marked as deleted are removed for good, with their
 * files and dependants, once their grace period is over. A policy of its own with its own route, runs and receipts.
 */
import { definePolicy, type Policy } from './contract';
import { strategyOf } from './strategies';

const purgeName = (policy: { name: string }): string => `${policy.name}-purge`;

/** Null unless the policy marks rows instead of deleting them. */
export function purgeOf(policy: Policy): Policy | null {
  const { grace } = strategyOf(policy);
  if (grace === null) return null;
  const { name, table, key, scope, dependants, files, ground, knownTriggers, schedule } = policy;
  return definePolicy({
    name: purgeName(policy),
    description: `Rows of ${table.name} that ${name} or the application marked as deleted go for good after their grace period.`,
    justification: `The grace period is there to take a deletion back; after it the deletion is carried out. ${policy.justification}`,
    ground,
    // An hour behind the marking, so that the two never ask for the same rows.
    schedule: {
      run: anHourLater(schedule.run),
      ...(schedule.resume ? { resume: anHourLater(schedule.resume) } : {}),
    },
    allowedSeconds: policy.allowedSeconds,
    ...(policy.allowedLatenessSeconds ? { allowedLatenessSeconds: policy.allowedLatenessSeconds } : {}),
    table,
    key,
    clock: { column: grace.mark, type: 'timestamptz' },
    rules: [{ label: 'purge', keepFor: grace.period }],
    scope,
    dependants,
    files,
    // A row that is not marked has no clock yet.
    quality: { emptyClocks: null },
    knownTriggers,
  });
}

/** Every policy, each soft-delete one followed by its purge. */
export const withPurges = (policies: readonly Policy[]): Policy[] =>
  policies.flatMap((p) => [p, ...[purgeOf(p)].filter((purge) => purge !== null)]);

function anHourLater(schedule: string): string {
  const [minute, hour, ...rest] = schedule.split(' ');
  return [minute, /^\d+$/.test(hour ?? '') ? String((Number(hour) + 1) % 24) : hour, ...rest].join(' ');
}
