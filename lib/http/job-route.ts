/**
 * The route of one of Lapse's own jobs (outbox, erasures, seal …): the same door and check-in as a policy's, with
 * then the job's own work, one run at a time. Answers what the job returns; 5xx when its outcome is `errored`. A job
 * that declares when it must look next answers `idle` until then, and PostgreSQL is not asked.
 */
import { RequestError } from '../platform/errors';
import type { JobRequest, JobResult } from '../platform/job';
import type { SlaStatus } from '../platform/outcome';
import { inTurn } from '../platform/turn';
import { type Services, services } from '../services';
import { attend } from '../watch/attend';
import { declaredJob, expectedJob } from '../watch/expected';
import { isIdle } from '../watch/quiet';
import { answerJson } from './answer';
import { type CronRoute, door } from './door';
import { shareLooks } from './share';

interface JobAnswer extends JobResult {
  readonly job: string;
  readonly durationSeconds: number;
  readonly slaStatus: SlaStatus;
}

export function jobRoute(
  name: string,
  job: (services: Services, request: JobRequest) => Promise<JobResult>,
  provide: () => Services = services,
): CronRoute {
  const expected = expectedJob(name);
  const schedules = [declaredJob(name).schedule];
  return door(name, provide, async (visit) => {
    for (const field of ['limit', 'batchSize'] as const) {
      if (visit.parameters[field] !== undefined) {
        throw new RequestError(400, 'unknown_parameter', `${field} is not a parameter of ${name}`, field);
      }
    }
    const { correlationId, deadline, trigger, services: s } = visit;
    const dryRun = visit.parameters.dryRun || s.settings.dryRun;
    const work = async (): Promise<JobResult> => {
      const forMs = deadline.getTime() - s.clock().getTime();
      const turn = await inTurn(s.redis, name, forMs, () =>
        job(s, { correlationId, deadline, dryRun, trigger }),
      );
      return turn.mine ? turn.result : locked(name, turn.secondsLeft);
    };
    const law = { mayIdle: () => true, nextLook: (result: JobResult) => result.nextLook };
    const { result, durationSeconds, slaStatus } = await attend(expected, schedules, visit, work, law);
    s.log[result.outcome === 'errored' ? 'error' : 'info'](
      {
        correlation_id: correlationId,
        script: name,
        event: isIdle(result) ? 'job.idle' : 'job.completed',
        outcome: result.outcome,
        reason: result.reason,
        duration_seconds: durationSeconds,
        sla_status: slaStatus,
      },
      result.message,
    );
    if (!isIdle(result)) await shareLooks(visit, name);
    const answer: JobAnswer = { job: name, ...result, durationSeconds, slaStatus };
    return answerJson(answer, correlationId, result.outcome === 'errored' ? 500 : 200);
  });
}

const locked = (name: string, secondsLeft: number): JobResult => ({
  outcome: 'skipped',
  reason: 'locked',
  message: `${name} is already running; it ends, or its turn expires, within ${secondsLeft} s`,
});
