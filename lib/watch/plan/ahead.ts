/**
 * What goes earlier: the rows that one declaration takes within some days, and that the other does not take before it. A row
 * comes to its end once under each, its clock plus the period: where the other keeps longer, it comes later, so all that
 * counts is whether it may be taken now already; where it keeps no longer, the other is always first.
 */
import { noneKept } from '../../platform/outcome';
import type { Policy } from '../../policies/contract';
import { policyReach } from '../../policies/effective';
import { type Counting, type Counts, countExcept } from './except';

const DAY_SECONDS = 86_400;

export interface Ahead {
  readonly now: Date;
  readonly days: number;
}

export const endOf = ({ now, days }: Ahead): Date => new Date(now.getTime() + days * DAY_SECONDS * 1000);

/** `policy` and `other` at the end of those days, rule by rule: each rule's rows have one period on either side. */
export async function countAhead(
  policy: Policy,
  other: Policy | null,
  ahead: Ahead,
  counting: Counting,
): Promise<Counts> {
  const at = endOf(ahead);
  const counts: Counts[] = [];
  for (const part of partsOf(policy)) {
    counts.push(await countExcept(part, other && laterOf(other, part, ahead.days), at, counting));
  }
  return counts.reduce(sum, NOTHING);
}

/** One policy a rule; with tenants a rule is chosen by the label, so all of them at once. */
const partsOf = (policy: Policy): Policy[] =>
  policy.tenants ? [policy] : policy.rules.map((rule) => ({ ...policy, rules: [rule] }));

/** The other declaration with what it would take only after `part` put off to where it stands now. */
function laterOf(other: Policy, part: Policy, days: number): Policy {
  // With the same reach only the rule of the same label reaches these rows, and the walk may begin at its cutoff.
  const twin = withRulesOf(other, part);
  const rules = policyReach(twin) === policyReach(part) ? twin.rules : other.rules;
  return {
    ...other,
    rules: rules.map((rule) => {
      const { seconds } = rule.keepFor;
      const first = periodFor(part, rule.label);
      const isLater = seconds !== null && first !== null && seconds > first;
      return isLater
        ? { ...rule, keepFor: { ...rule.keepFor, seconds: seconds + days * DAY_SECONDS } }
        : rule;
    }),
  };
}

const withRulesOf = (other: Policy, part: Policy): Policy => ({
  ...other,
  rules: other.rules.filter((rule) => part.rules.some((r) => r.label === rule.label)),
});

/** Of a part with one rule its period, whatever the other calls its own; with tenants that of the label. */
const periodFor = (part: Policy, label: string): number | null =>
  (part.tenants ? part.rules.find((r) => r.label === label) : part.rules[0])?.keepFor.seconds ?? null;

const NOTHING: Counts = { rows: 0, files: 0, bytes: 0, dependants: {}, kept: noneKept(), complete: true };

const sum = (a: Counts, b: Counts): Counts => ({
  rows: a.rows + b.rows,
  files: a.files + b.files,
  bytes: a.bytes + b.bytes,
  dependants: added(a.dependants, b.dependants),
  kept: added(a.kept, b.kept),
  complete: a.complete && b.complete,
});

function added<K extends string>(
  a: Readonly<Record<K, number>>,
  b: Readonly<Record<K, number>>,
): Record<K, number> {
  const all: Record<K, number> = { ...a };
  for (const [key, n] of Object.entries<number>(b)) all[key as K] = (all[key as K] ?? 0) + n;
  return all;
}
