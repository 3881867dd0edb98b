/**
 * Safe change of a policy (G6): the period that counts is the longest of all versions in force within the
 * cooling-off, so lengthening counts at once and shortening waits. A version that reaches other rows (another
 * table, clock, predicate, label, dependant or file, or loses more of each) cannot be compared by its periods and waits as a whole.
 */
import { createHash } from 'node:crypto';
import type { Policy } from './contract';
import { strategyOf } from './strategies';

export type Periods = Readonly<Record<string, number | null>>;

export const periodsOf = (policy: Policy): Periods =>
  Object.fromEntries(policy.rules.map((r) => [r.label, r.keepFor.seconds]));

/** All that decides which rows go, apart from how long they are kept. */
export function policyReach(policy: Policy): string {
  const reach = {
    table: policy.table,
    key: policy.key,
    clock: policy.clock,
    where: policy.where ?? null,
    strategy: strategyOf(policy).reach,
    rules: policy.rules.map((r) => ({ label: r.label, match: r.match })),
    tenants: policy.tenants ?? null,
    dependants: policy.dependants,
    files: policy.files,
    contents: policy.contents,
    keepAtLeast: policy.keepAtLeast,
    thin: policy.thin,
    // Rows that wait for a notice may go without one when it is no longer required.
    noticeDays: policy.notice?.requiredDays,
  };
  return createHash('sha256').update(JSON.stringify(reach)).digest('hex').slice(0, 16);
}

/** The policy with the periods that count now. A label without an answer is kept forever. */
export const withPeriods = (policy: Policy, periods: Periods): Policy => ({
  ...policy,
  rules: policy.rules.map((r) => ({ ...r, keepFor: { ...r.keepFor, seconds: periods[r.label] ?? null } })),
});
