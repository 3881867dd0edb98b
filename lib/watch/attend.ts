/**
 * Around every cron: its check-in at Sentry, a durable record of when it began and how it ended, and then a look
 * whether all others came too. The record and the look cost a request each and never change how the run ends.
 */
import { codeOf } from '../platform/errors';
import { type Outcome, type SlaStatus, slaStatus } from '../platform/outcome';
import { checkIn } from '../platform/sentry';
import type { Services } from '../services';
import { noteBegin, noteEnd } from './attendance';
import type { Expected } from './expected';
import { lookForLateRuns } from './look';

/** What is asked of the call that brought the work about. */
interface Call {
  readonly services: Services;
  readonly correlationId: string;
  readonly deadline: Date;
  /** The schedule that fired; null for a manual call. */
  readonly schedule: string | null;
  readonly parameters: { readonly dryRun: boolean };
}

interface Finished {
  readonly outcome: Outcome;
  readonly reason: string | null;
  readonly message: string;
}

export interface Attended<R> {
  readonly result: R;
  readonly durationSeconds: number;
  readonly slaStatus: SlaStatus;
}

/** Less than this before the deadline, the next cron looks. */
const LOOK_MS = 8_000;

export async function attend<R extends Finished>(
  expected: Expected,
  schedules: readonly (string | undefined)[],
  call: Call,
  work: () => Promise<R>,
): Promise<Attended<R>> {
  const { services } = call;
  const { sla } = services.settings;
  const startedAt = services.clock();
  // A dry run that was asked for is not the run that was due.
  const counts = !call.parameters.dryRun;
  // Beside the work, not before it: a lost note is made up for by the end.
  const began = counts ? noteBegin(services, expected, startedAt) : Promise.resolve();
  const finish = async (ending: Pick<Finished, 'outcome' | 'reason'>) => {
    const finishedAt = services.clock();
    const durationSeconds = Math.max(0, finishedAt.getTime() - startedAt.getTime()) / 1000;
    const status = slaStatus(durationSeconds, expected.allowedSeconds, sla);
    await began;
    if (counts) {
      await noteEnd(services, expected, {
        ...ending,
        startedAt,
        finishedAt,
        durationSeconds,
        slaStatus: status,
      });
    }
    if (call.deadline.getTime() - services.clock().getTime() > LOOK_MS) await lookForLateRuns(services);
    return { durationSeconds, slaStatus: status };
  };
  let result: R;
  try {
    result = await checkIn({ ...expected, schedules }, call, work);
  } catch (error) {
    await finish({ outcome: 'errored', reason: codeOf(error) });
    throw error;
  }
  return { result, ...(await finish(result)) };
}
