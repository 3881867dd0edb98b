/**
 * The route of one of Lapse's own jobs (outbox, erasures, seal …): the same door and check-in as a policy's, with
 * the job's own work behind it. Answers what the job gives; 5xx when its outcome is `errored`.
 */
import { OWN_JOBS } from '../crons';
import { RequestError } from '../errors';
import { checkIn } from '../sentry';
import { type Services, services } from '../services';
import { answerJson } from './answer';
import { type CronRoute, door, MAX_DURATION_SECONDS } from './door';

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
  const monitor = {
    name,
    schedules: [OWN_JOBS.find((j) => j.name === name)?.schedule],
    allowedSeconds: MAX_DURATION_SECONDS,
  };
  return door(name, provide, async (visit) => {
    for (const field of ['limit', 'batchSize'] as const) {
      if (visit.parameters[field] !== undefined) {
        throw new RequestError(400, 'unknown_parameter', `${field} means nothing to ${name}`, field);
      }
    }
    const { correlationId, deadline, trigger, services: s } = visit;
    const dryRun = visit.parameters.dryRun || s.settings.dryRun;
    const result = await checkIn(monitor, visit, () => job(s, { correlationId, deadline, dryRun, trigger }));
    return answerJson({ job: name, ...result }, correlationId, result.outcome === 'errored' ? 500 : 200);
  });
}
