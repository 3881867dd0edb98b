/**
 * The route of one of Lapse's own jobs (outbox, reconciliation …): the same door as a policy's, with the job's
 * own work behind it. Answers what the job gives; 5xx when its outcome is `errored`.
 */
import { LapseError, RequestError } from '../errors';
import { capture, flush } from '../sentry';
import { type Services, services } from '../services';
import { answerError, answerJson } from './answer';
import { authorize } from './authorize';
import { correlationOf } from './correlation';
import { type CronRoute, MAX_DURATION_SECONDS } from './cron-route';
import { deadlineOf } from './deadline';
import { readParameters } from './parameters';

export interface JobOrder {
  readonly correlationId: string;
  readonly deadline: Date;
  readonly dryRun: boolean;
  readonly trigger: 'cron' | 'manual';
}

export interface JobResult {
  readonly outcome: 'succeeded' | 'interrupted' | 'skipped' | 'errored';
  readonly reason: string | null;
  readonly message: string;
}

export function jobRoute(
  name: string,
  job: (services: Services, order: JobOrder) => Promise<JobResult>,
  provide: () => Services = services,
): CronRoute {
  const handle = async (request: Request): Promise<Response> => {
    const correlationId = correlationOf(request);
    try {
      authorize(request, process.env.CRON_SECRET);
      const s = provide();
      const parameters = readParameters(new URL(request.url));
      for (const field of ['limit', 'batchSize'] as const) {
        if (parameters[field] !== undefined) {
          throw new RequestError(400, 'unknown_parameter', `${field} means nothing to ${name}`, field);
        }
      }
      const result = await job(s, {
        correlationId,
        deadline: deadlineOf(s.clock(), MAX_DURATION_SECONDS, [
          s.settings.maxDurationSeconds,
          parameters.maxSeconds,
        ]),
        dryRun: parameters.dryRun || s.settings.dryRun,
        trigger: request.headers.get('x-vercel-cron-schedule') ? 'cron' : 'manual',
      });
      if (result.outcome === 'errored') {
        capture(new LapseError(result.reason ?? 'errored', result.message), { policy: name, correlationId });
      }
      return answerJson({ job: name, ...result }, correlationId, result.outcome === 'errored' ? 500 : 200);
    } catch (error) {
      if (!(error instanceof RequestError)) capture(error, { policy: name, correlationId });
      return answerError(error, correlationId);
    } finally {
      await flush();
    }
  };
  return { GET: handle, POST: handle, HEAD: refuseHead };
}

const refuseHead = (): Response => new Response(null, { status: 405, headers: { allow: 'GET, POST' } });
