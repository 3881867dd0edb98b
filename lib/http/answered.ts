/**
 * Around every route: one correlation id; a refused request is answered with its reason and logged; a failure
 * is logged under the id and sent to Sentry, once, before the answer. Messages that Lapse did not word never leave.
 */
import type { Logger } from 'pino';
import { LapseError, RequestError } from '../platform/errors';
import { createLog } from '../platform/log';
import { capture, flush } from '../platform/sentry';
import type { Services } from '../services';
import { answerError } from './answer';
import { correlationOf } from './correlation';

export type Handler = (request: Request) => Promise<Response>;

export interface Asked {
  readonly request: Request;
  readonly correlationId: string;
  /** Created on first use: a wrong setting becomes an answer instead of a crash, and a caller without access costs nothing. */
  readonly services: () => Services;
}

export function answered(
  script: string,
  provide: () => Services,
  work: (asked: Asked) => Promise<Response>,
): Handler {
  return async (request) => {
    const correlationId = correlationOf(request);
    let made: Services | undefined;
    const services = () => {
      made ??= provide();
      return made;
    };
    try {
      return await work({ request, correlationId, services });
    } catch (error) {
      const log = (made?.log ?? createLog({ level: 'error' })).child({
        correlation_id: correlationId,
        script,
      });
      if (error instanceof RequestError) refused(error, log);
      else await flushed(async () => failed(error, { script, correlationId }, log));
      return answerError(error, correlationId);
    }
  };
}

/** An unknown caller can send any number of these: they are logged at debug level only. */
function refused(error: RequestError, log: Logger): void {
  const level = error.status === 401 || error.status === 429 ? 'debug' : 'info';
  log[level](
    { event: 'request.refused', status: error.status, error_code: error.code, field: error.field },
    error.code,
  );
}

/** An error that Lapse did not word itself may contain row values: only its class is passed on. */
export function failed(
  error: unknown,
  { script, correlationId }: { readonly script: string; readonly correlationId: string },
  log: Logger,
  event = 'request.failed',
): void {
  capture(error, { policy: script, correlationId });
  const own = error instanceof LapseError;
  log.error(
    { event, error_code: own ? error.code : 'internal' },
    own ? error.message : `unexpected ${error instanceof Error ? error.name : typeof error}`,
  );
}

/** A page that Next could not show says the digest of its error, under which the log and Sentry have it. */
export async function notAnswered(error: unknown, log = createLog({ level: 'error' })): Promise<void> {
  const correlationId = String((error as { digest?: unknown } | null)?.digest ?? 'none');
  const about = { script: 'console', correlationId };
  const own = log.child({ correlation_id: correlationId, script: about.script });
  await flushed(async () => failed(error, about, own, 'page.failed'));
}

/** What Sentry was sent leaves before the answer: a function may be frozen after it. */
export async function flushed<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } finally {
    await flush();
  }
}
