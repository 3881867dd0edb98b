/** The fingerprint of a declaration: another period, predicate or dependant is another version (G3, R3). */
import { createHash } from 'node:crypto';
import type { Policy } from './contract';

/** Policies made of declared ones, and what each was declared as. */
const DECLARED = new WeakMap<Policy, Policy>();
/** What a policy was declared as, whose version it keeps. */
export const declarationOf = (policy: Policy): Policy => DECLARED.get(policy) ?? policy;

/** `made`, which keeps the version of the declaration it was made of. */
export function standsFor(made: Policy, policy: Policy): Policy {
  DECLARED.set(made, declarationOf(policy));
  return made;
}

export function versionOf(policy: Policy): string {
  // Words for the reader, the hour of the day, the guard rails and what is measured change nothing about what may go.
  const {
    description,
    justification,
    ground,
    schedule,
    allowedSeconds,
    allowedLatenessSeconds,
    guard,
    rollout,
    quality,
    notice,
    // A policy of its own carries it out, under a version of its own.
    consent,
    ...decides
  } = declarationOf(policy);
  // Of a notice only what keeps rows: whom it goes to, and when else, changes nothing about them.
  const all = { ...decides, noticeDays: notice?.requiredDays };
  return createHash('sha256').update(JSON.stringify(all)).digest('hex').slice(0, 16);
}
