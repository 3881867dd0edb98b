/** Something stopped itself and a person should look: one log line and one incident, grouped by event and policy. */

import type { Context } from '../context';
import { reportIncidents } from './incidents';

export type GuardEvent =
  | 'guard.stopped'
  | 'breaker.opened'
  | 'letters.overdue'
  | 'files.refused'
  | 'audit.broken';

/** What the incident of an event is grouped by; `of` is the policy, or what kind of thing waits. */
export const causeOf = (event: GuardEvent, of = 'lapse'): string => `${event}:${of}`;

/** `message` must hold no row values. */
export async function alert(
  context: Context,
  event: GuardEvent,
  about: { of?: string; correlationId: string },
  message: string,
): Promise<void> {
  context.log.error({ event, correlation_id: about.correlationId }, message);
  await reportIncidents(context, {
    wrong: [{ cause: causeOf(event, about.of), severity: 'critical', message }],
  });
}
