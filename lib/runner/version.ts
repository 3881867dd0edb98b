/** The fingerprint of a declaration: another period, predicate or dependant is another version (G3, R3). */
import { createHash } from 'node:crypto';
import { declarationOf } from '../batch/leaves';
import type { Policy } from '../policies/contract';

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
    ...decides
  } = declarationOf(policy);
  return createHash('sha256').update(JSON.stringify(decides)).digest('hex').slice(0, 16);
}
