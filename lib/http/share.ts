/**
 * One call, several jobs: at the end of a call that asked PostgreSQL, the looks that would wake it again soon, each
 * under its own turn, within the time that is left. It is no attendance: the job's own call is expected all the same, and
 * does what failed here as if nothing had been.
 */
import { codeOf } from '../platform/errors';
import type { JobResult } from '../platform/job';
import { arrive, dueOf } from '../platform/looks';
import { inTurn } from '../platform/turn';
import { ownJobs } from '../policies/crons';
import { settleShared } from '../watch/attend';
import { type Expected, expectedJob } from '../watch/expected';
import { knowing, mayKnow } from '../watch/next-look';
import { looksToShare, nextWake } from '../watch/sharing';
import type { Visit } from './door';
import { OWN_WORK, type Work } from './own-jobs';

/** Of the call's time: a job that begins with less would be cut short. */
const LEAST_MS = 60_000;

const WORK: Readonly<Record<string, Work>> = OWN_WORK;

/** Never throws. `self`: who has just looked. */
export async function shareLooks(visit: Visit, self: string): Promise<void> {
  const { services, trigger, parameters } = visit;
  if (trigger !== 'cron' || parameters.dryRun || !mayKnow(services)) return;
  const now = services.clock();
  const known = await arrive(services.redis, self, knowing(services, now));
  if (!known) return;
  const planned = ownJobs(services)
    .filter(({ name }) => name !== self && WORK[name])
    .map(({ name }) => ({ ...expectedJob(name), ...dueOf(known.fields, name, knowing(services, now)) }));
  const wake = nextWake(services.policies, now, services.settings.safetyLookSeconds);
  const names = looksToShare(planned, now, wake);
  for (const name of Object.keys(WORK).filter((n) => names.includes(n))) {
    if (visit.deadline.getTime() - services.clock().getTime() < LEAST_MS) return;
    await lookFor(expectedJob(name), visit);
  }
}

async function lookFor(expected: Expected, visit: Visit): Promise<void> {
  const { services, correlationId, deadline } = visit;
  const log = services.log.child({ correlation_id: correlationId, script: expected.name });
  const looked = services.clock();
  const work = () =>
    WORK[expected.name]!(services, { correlationId, deadline, dryRun: false, trigger: 'cron' });
  const turn = await inTurn(services.redis, expected.name, deadline.getTime() - looked.getTime(), () =>
    work().catch(failed),
  );
  if (!turn.mine) return;
  const { outcome, reason, message, nextLook } = turn.result;
  await settleShared(services, expected, looked, nextLook);
  const level = outcome === 'errored' ? 'warn' : 'info';
  log[level]({ event: 'look.shared', outcome, reason }, message);
}

const failed = (error: unknown): JobResult => ({
  ...{ outcome: 'errored', reason: codeOf(error) },
  message: 'could not be done along with another; its own call does it',
});
