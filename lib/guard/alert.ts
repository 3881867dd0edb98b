/** Something stopped itself and a person should look: one log line and one alert, grouped by cause and policy. */
import type { Logger } from 'pino';
import { LapseError } from '../errors';
import { capture } from '../sentry';

class Stopped extends LapseError {}

/** `message` must hold no row values. */
export function alert(
  log: Logger,
  event: 'guard.stopped' | 'breaker.opened' | 'letters.overdue' | 'audit.broken',
  about: { policy?: string; correlationId?: string },
  message: string,
): void {
  log.error({ event }, message);
  capture(new Stopped(event, message), { ...about, code: event });
}
