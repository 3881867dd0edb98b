/**
 * A policy's route: the door, then the policy's run with its check-in at Sentry. Its own schedule always asks; the second
 * one only resumes, so after a run that left nothing it answers `idle` without asking, until the next of its own schedule.
 */

import type { RunResult } from '../engine/run/result';
import { type RunRequest, runPolicy } from '../engine/run/run';
import { RequestError } from '../platform/errors';
import { nextRun } from '../policies/next-run';
import { type Services, services } from '../services';
import { attend } from '../watch/attend';
import { expectedOf } from '../watch/expected';
import { answerJson, answerRun } from './answer';
import { type CronRoute, door } from './door';
import { shareLooks } from './share';

/** The law of a resumption: only a run that was drained leaves nothing for it. */
export function nextResume(result: RunResult, schedule: string): Date | undefined {
  if (result.outcome !== 'succeeded' || result.mode !== 'delete' || result.bounded) return undefined;
  return nextRun(schedule, new Date(result.startedAt)) ?? undefined;
}

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
    const expected = expectedOf(policy);
    const law = {
      mayIdle: (schedule: string) => schedule === resume && schedule !== run,
      nextLook: (result: RunResult) => nextResume(result, expected.schedule),
    };
    const { result } = await attend(expected, [run, resume], visit, work, law);
    if (!('runId' in result)) return answerJson({ policy: policyName, ...result }, visit.correlationId);
    await shareLooks(visit, policyName);
    return answerRun(result);
  });
}
