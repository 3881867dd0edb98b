/**
 * The one way in for everything on a clock: Vercel Cron (GET), Vercel Schedules (POST) and a manual call. Nothing
 * is read or done before the secret has been checked; HEAD, which link checkers and probes send, never runs; what
 * fails is in the log under the correlation id and at Sentry before the answer is sent.
 */
import type { Logger } from 'pino';
import { MAX_DURATION_SECONDS } from '../crons';
import { LapseError, RequestError } from '../errors';
import { createLog } from '../log';
import { capture, flush } from '../sentry';
import type { Services } from '../services';
import { answerError } from './answer';
import { authorize } from './authorize';
import { correlationOf } from './correlation';
import { deadlineOf } from './deadline';
import { type Parameters, readParameters } from './parameters';

type Handler = (request: Request) => Promise<Response>;
export interface CronRoute {
  readonly GET: Handler;
  readonly POST: Handler;
  readonly HEAD: () => Response;
}

/** A request that was let in. */
export interface Visit {
  readonly services: Services;
  readonly parameters: Parameters;
  readonly correlationId: string;
  readonly deadline: Date;
  readonly trigger: 'cron' | 'manual';
  /** The schedule that fired, as Vercel names it; null for a manual call. */
  readonly schedule: string | null;
}

/** `provide` makes the services on the first request, so that a wrong setting is an answer and not a crash. */
export function door(
  name: string,
  provide: () => Services,
  work: (visit: Visit) => Promise<Response>,
): CronRoute {
  const handle: Handler = async (request) => {
    const correlationId = correlationOf(request);
    let services: Services | undefined;
    try {
      authorize(request, process.env.CRON_SECRET);
      services = provide();
      const parameters = readParameters(new URL(request.url));
      const schedule = request.headers.get('x-vercel-cron-schedule');
      return await work({
        services,
        parameters,
        correlationId,
        deadline: deadlineOf(services.clock(), MAX_DURATION_SECONDS, [
          services.settings.maxDurationSeconds,
          parameters.maxSeconds,
        ]),
        trigger: schedule ? 'cron' : 'manual',
        schedule,
      });
    } catch (error) {
      if (!(error instanceof RequestError)) {
        report(error, name, correlationId, services?.log ?? createLog({ level: 'error' }));
      }
      return answerError(error, correlationId);
    } finally {
      await flush();
    }
  };
  return { GET: handle, POST: handle, HEAD: refuseHead };
}

const refuseHead = (): Response => new Response(null, { status: 405, headers: { allow: 'GET, POST' } });

/** An error Lapse did not word itself may hold row values: its class is all that is told. */
function report(error: unknown, name: string, correlationId: string, log: Logger): void {
  capture(error, { policy: name, correlationId });
  const own = error instanceof LapseError;
  log.error(
    {
      correlation_id: correlationId,
      script: name,
      event: 'request.failed',
      error_code: own ? error.code : 'internal',
    },
    own ? error.message : `unexpected ${error instanceof Error ? error.name : typeof error}`,
  );
}
