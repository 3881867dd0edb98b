/**
 * Who may call (R14): the bearer of a secret, as Vercel Cron sends CRON_SECRET. Compared in constant time over
 * digests, so that neither content nor length leaks; an unset secret admits no caller. While a secret is
 * being changed, the one before it counts too (<NAME>_PREVIOUS), and its use is in the log.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { Logger } from 'pino';
import { RequestError } from '../platform/errors';

/** Vercel asks for at least this many characters. */
const SHORTEST_SECRET = 16;

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

const isBearer = (request: Request, secret: string | undefined): boolean => {
  const header = request.headers.get('authorization');
  if (!secret || secret.length < SHORTEST_SECRET || !header) return false;
  return timingSafeEqual(digest(header), digest(`Bearer ${secret}`));
};

export type SecretName = 'CRON_SECRET' | 'METRICS_TOKEN';

/** Which of the two values of a secret the request carries, if any. Read from the environment, before the settings are. */
export function secretIn(request: Request, name: SecretName): 'current' | 'previous' | null {
  const [current, previous] = [process.env[name], process.env[`${name}_PREVIOUS`]];
  if (isBearer(request, current)) return 'current';
  return isBearer(request, previous) ? 'previous' : null;
}

/** The previous secret should not be needed for long. */
export function warnOfPrevious(found: 'current' | 'previous', name: SecretName, log: Logger): void {
  if (found === 'current') return;
  log.warn(
    { event: 'secret.previous', setting: `${name}_PREVIOUS` },
    `a request used the value of ${name}_PREVIOUS: switch its sender to the value of ${name}, then remove ${name}_PREVIOUS`,
  );
}

/** Throws RequestError 401 unless the request carries METRICS_TOKEN. */
export function authorizeMetrics(request: Request): 'current' | 'previous' {
  const found = secretIn(request, 'METRICS_TOKEN');
  if (found) return found;
  throw new RequestError(401, 'unauthorized', 'send the header Authorization: Bearer <METRICS_TOKEN>');
}
