/**
 * What a run makes of the signs that others need the database more (R1): batches then get smaller; a crowd or a lag also
 * makes the runner rest between them.
 */

import type { PressureLimits } from '../../platform/settings';
import type { Pressure } from '../statement/pressure';

/** No rest is longer: the next batch looks again. */
const LONGEST_REST_MS = 1_000;

/** Why to go gently; null when there is no need. */
export function pressedBy(
  seen: Omit<Pressure, 'progress'>,
  limits: Omit<PressureLimits, 'shareInCompany'>,
): 'locks' | 'sessions' | 'lag' | null {
  if (seen.lag !== null && seen.lag > limits.lagSeconds) return 'lag';
  if (seen.sessions > limits.sessions) return 'sessions';
  return seen.waiting > 0 ? 'locks' : null;
}

/**
 * How long to rest behind a batch that took `tookMs`. A session that waits for a lock is helped by a shorter batch; `company`:
 * others write (company.ts), and this run may take `share` of the time.
 */
export function restMs(by: ReturnType<typeof pressedBy> | 'company', tookMs: number, share: number): number {
  if (by === 'lag') return LONGEST_REST_MS;
  if (by === 'company') return Math.min(LONGEST_REST_MS, tookMs * (1 / share - 1));
  return by === 'sessions' ? Math.min(LONGEST_REST_MS, tookMs) : 0;
}
