/**
 * A policy's route: Vercel Cron, Vercel Schedules (POST) and a manual call all come through here. Nothing is
 * read or done before the secret has been checked; HEAD, which link checkers and probes send, never runs.
 */
import { LapseError, RequestError } from '../errors';
import { type RunRequest, runPolicy } from '../runner/run';
import { capture, checkIn, flush } from '../sentry';
import { type Services, services } from '../services';
import { answerError, answerRun } from './answer';
import { authorize } from './authorize';
import { correlationOf } from './correlation';
import { deadlineOf } from './deadline';
import { readParameters } from './parameters';

type Handler = (request: Request) => Promise<Response>;
export interface CronRoute {
  readonly GET: Handler;
  readonly POST: Handler;
  readonly HEAD: () => Response;
}

/** What vercel.json and the route files give a function: keep the literal in each route equal to this. */
export const MAX_DURATION_SECONDS = 300;

/** `provide` makes the services on the first request, so that a wrong setting is an answer and not a crash. */
export function cronRoute(policyName: string, provide: () => Services = services): CronRoute {
  const handle: Handler = async (request) => {
    const correlationId = correlationOf(request);
    let s: Services | null = null;
    try {
      authorize(request, process.env.CRON_SECRET);
      s = provide();
      const policy = s.policies.find((p) => p.name === policyName);
      if (!policy) throw new RequestError(404, 'unknown_policy', `there is no policy "${policyName}"`);
      const scheduled = request.headers.get('x-vercel-cron-schedule');
      const parameters = readParameters(new URL(request.url));
      const order: RunRequest = {
        trigger: scheduled ? 'cron' : 'manual',
        actor: scheduled ? 'cron' : 'manual',
        correlationId,
        deadline: deadlineOf(s.clock(), MAX_DURATION_SECONDS, [
          s.settings.maxDurationSeconds,
          parameters.maxSeconds,
        ]),
        dryRun: parameters.dryRun,
        ...(parameters.limit === undefined ? {} : { limit: parameters.limit }),
        ...(parameters.batchSize === undefined ? {} : { batchSize: parameters.batchSize }),
      };
      const given = s;
      return answerRun(await checkIn(policy, order, () => runPolicy(given, policy, order)));
    } catch (error) {
      if (!(error instanceof RequestError)) {
        capture(error, { policy: policyName, correlationId });
        const code = error instanceof LapseError ? error.code : 'internal';
        const message = error instanceof LapseError ? error.message : 'unexpected error';
        if (s)
          s.log.error(
            { event: 'request.failed', correlation_id: correlationId, script: policyName, error_code: code },
            message,
          );
        else
          console.error(
            JSON.stringify({
              timestamp: new Date().toISOString(),
              level: 'error',
              correlation_id: correlationId,
              script: policyName,
              event: 'request.failed',
              error_code: code,
              message,
            }),
          );
      }
      return answerError(error, correlationId);
    } finally {
      await flush();
    }
  };
  return {
    GET: handle,
    POST: handle,
    HEAD: refuseHead,
  };
}

const refuseHead = (): Response => new Response(null, { status: 405, headers: { allow: 'GET, POST' } });
