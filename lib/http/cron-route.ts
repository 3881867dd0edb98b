/** A policy's route: the door, then the policy's run with its check-in at Sentry. */

import { type RunRequest, runPolicy } from '../engine/run/run';
import { RequestError } from '../platform/errors';
import { type Services, services } from '../services';
import { attend } from '../watch/attend';
import { expectedOf } from '../watch/expected';
import { answerRun } from './answer';
import { type CronRoute, door } from './door';

export function cronRoute(policyName: string, provide: () => Services = services): CronRoute {
  return door(policyName, provide, async (visit) => {
    const policy = visit.services.policies.find((p) => p.name === policyName);
    if (!policy) throw new RequestError(404, 'unknown_policy', `there is no policy "${policyName}"`);
    const { dryRun, limit, batchSize } = visit.parameters;
    const order: RunRequest = {
      trigger: visit.trigger,
      actor: visit.actor,
      correlationId: visit.correlationId,
      deadline: visit.deadline,
      dryRun,
      ...(limit === undefined ? {} : { limit }),
      ...(batchSize === undefined ? {} : { batchSize }),
    };
    const { run, resume } = policy.schedule;
    const work = () => runPolicy(visit.services, policy, order);
    const { result } = await attend(expectedOf(policy), [run, resume], visit, work);
    return answerRun(result);
  });
}
