/** A policy's route: the door, and the policy's run behind it with its check-in at Sentry. */
import { RequestError } from '../errors';
import { type RunRequest, runPolicy } from '../runner/run';
import { checkIn } from '../sentry';
import { type Services, services } from '../services';
import { answerRun } from './answer';
import { type CronRoute, door } from './door';

export function cronRoute(policyName: string, provide: () => Services = services): CronRoute {
  return door(policyName, provide, async (visit) => {
    const policy = visit.services.policies.find((p) => p.name === policyName);
    if (!policy) throw new RequestError(404, 'unknown_policy', `there is no policy "${policyName}"`);
    const { dryRun, limit, batchSize } = visit.parameters;
    const order: RunRequest = {
      trigger: visit.trigger,
      actor: visit.trigger,
      correlationId: visit.correlationId,
      deadline: visit.deadline,
      dryRun,
      ...(limit === undefined ? {} : { limit }),
      ...(batchSize === undefined ? {} : { batchSize }),
    };
    const { name, schedule, allowedSeconds } = policy;
    const monitor = { name, schedules: [schedule.run, schedule.resume], allowedSeconds };
    return answerRun(await checkIn(monitor, visit, () => runPolicy(visit.services, policy, order)));
  });
}
