/**
 * A declaration as the record of its version keeps it: all of it, so that a branch can be compared with it, and apart
 * from it the periods that the environment of that deployment set, which no branch can know.
 */
import { z } from 'zod';
import { type Period, type Policy, PolicySchema } from './contract';
import { declarationOf } from './fingerprint';
import { strategyOf } from './strategies';

/** Periods that the environment replaced, and what the code says without it. */
const DECLARED = new WeakMap<Period, Period>();

/** The period with what the environment says. */
export function setTo(declared: Period, seconds: number | null): Period {
  const period = { ...declared, seconds };
  DECLARED.set(period, declared);
  return period;
}

/** Variables that were set, with their periods in seconds; null keeps forever. */
const Environment = z.record(z.string(), z.number().int().positive().nullable());
export type Environment = z.infer<typeof Environment>;

const Recorded = z.object({ policy: PolicySchema, environment: Environment });
export type Recorded = z.infer<typeof Recorded>;

/** What the record of a version keeps. */
export function recordOf(policy: Policy): Recorded {
  const set = periodsIn(policy).filter((p) => DECLARED.has(p));
  return {
    policy: declarationOf(policy),
    environment: Object.fromEntries(set.flatMap((p) => (p.env ? [[p.env, p.seconds]] : []))),
  };
}

/** Null for a record that this version of the contract does not read. */
export function readRecord(declaration: unknown): Recorded | null {
  const parsed = Recorded.safeParse(declaration);
  return parsed.success ? parsed.data : null;
}

/** The policy as it would be in another deployment: its declared periods, but for the variables that are set there. */
export function inEnvironment(policy: Policy, environment: Environment): Policy {
  return withEachPeriod(policy, (period) => {
    const declared = DECLARED.get(period) ?? period;
    const set = declared.env === undefined ? undefined : environment[declared.env];
    return set === undefined ? declared : { ...declared, seconds: set };
  });
}

/** Every period of a policy, also those of its strategy. */
export const periodsIn = (policy: Policy): Period[] => [
  ...policy.rules.map((rule) => rule.keepFor),
  ...strategyOf(policy).periods,
];

/** The same policy with each of its periods replaced: the order of its fields, and so its version, is kept. */
export const withEachPeriod = (policy: Policy, replace: (period: Period) => Period): Policy => ({
  ...policy,
  rules: policy.rules.map((rule) => ({ ...rule, keepFor: replace(rule.keepFor) })),
  strategy: strategyOf(policy).withPeriods(replace),
});
