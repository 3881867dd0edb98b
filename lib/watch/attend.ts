/**
 * Around every cron: its check-in at Sentry, a durable record of when it began and how it ended, and then a look
 * whether all others came too. The record and the look cost a request each and never change how the run ends. A call
 * that Redis knows to have nothing to do asks PostgreSQL nothing: it is noted in Redis, and so are the others judged.
 */
import { codeOf } from '../platform/errors';
import type { NextLook } from '../platform/job';
import { WATCH_JOB } from '../platform/jobs';
import { arrive, dueOf, type Known, settleLook } from '../platform/looks';
import { type Outcome, type SlaStatus, slaStatus } from '../platform/outcome';
import { checkIn } from '../platform/sentry';
import type { Services } from '../services';
import { didItsWork, type Ended, noteBegin, noteEnd, noteInRedis } from './attendance';
import { declaredJob, type Expected } from './expected';
import { lookForLateRuns } from './look';
import { knowing, mayKnow, untilOf } from './next-look';
import { IDLE, idleNote, isQuiet, notesIn, noteText } from './quiet';

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

/** When it need not ask. */
interface Law<R> {
  /** Whether a call on this schedule may go without asking. */
  mayIdle(schedule: string): boolean;
  nextLook(result: R): NextLook | undefined;
}

const ALWAYS: Law<unknown> = { mayIdle: () => false, nextLook: () => undefined };

/** Nothing was to be done, and PostgreSQL was not asked. */
export interface Idle extends Finished {
  readonly outcome: 'skipped';
  /** Until then, unless new work is announced. */
  readonly nextLook: Date;
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
  law: Law<R> = ALWAYS,
): Promise<Attended<R> | Attended<Idle>> {
  const startedAt = call.services.clock();
  // A dry run that was asked for is not the run that was due.
  const counts = !call.parameters.dryRun;
  const known = counts && mayKnow(call.services) ? await arrival(expected, call, startedAt, law) : null;
  const quiet = known?.idle === true && isQuiet(call.services, known, startedAt);
  const idle = known?.idle ? idleUntil(expected, call.services, { ...known, quiet }, startedAt) : null;
  if (idle) {
    const result = await checkIn({ ...expected, schedules }, call, async () => idling(expected.name, idle));
    if (!quiet) await lookForLateRuns(call.services);
    return { result, durationSeconds: 0, slaStatus: 'within_sla' };
  }
  // Beside the work, not before it: a lost note is made up for by the end.
  const began = counts ? noteBegin(call.services, expected, startedAt) : Promise.resolve();
  const finish = async (ending: Pick<Finished, 'outcome' | 'reason'>, nextLook?: NextLook) => {
    const about = finished(expected, call.services, startedAt, ending);
    await began;
    if (counts) await noted(expected, call.services, about, { known, nextLook });
    const left = call.deadline.getTime() - call.services.clock().getTime();
    // The watch itself has just looked.
    if (left > LOOK_MS && expected.name !== WATCH_JOB) await lookForLateRuns(call.services);
    return { durationSeconds: about.durationSeconds, slaStatus: about.slaStatus };
  };
  let result: R;
  try {
    result = await checkIn({ ...expected, schedules }, call, work);
  } catch (error) {
    await finish({ outcome: 'errored', reason: codeOf(error) });
    throw error;
  }
  return { result, ...(await finish(result, law.nextLook(result))) };
}

/** Who comes reads what is known; only a schedule that may go without asking is answered whether it may now. */
const arrival = (
  { name }: Expected,
  call: Call,
  now: Date,
  law: Pick<Law<never>, 'mayIdle'>,
): Promise<Known | null> => {
  const may = call.schedule !== null && law.mayIdle(call.schedule);
  const at = knowing(call.services, now);
  return arrive(call.services.redis, name, may ? { ...at, note: idleNote(now) } : at);
};

/** Null: it has to ask. The watch itself has also to see nothing new. */
function idleUntil(
  { name }: Expected,
  services: Services,
  known: Known & { readonly quiet: boolean },
  now: Date,
): Date | null {
  if (name === WATCH_JOB && !known.quiet) return null;
  return dueOf(known.fields, name, knowing(services, now)).due;
}

const idling = (name: string, until: Date): Idle => ({
  ...{ outcome: 'skipped', reason: IDLE.reason },
  message: `nothing of ${name} falls due before ${until.toISOString().slice(0, 16)}Z unless it is announced; PostgreSQL was not asked`,
  nextLook: until,
});

function finished(
  expected: Expected,
  { clock, settings }: Services,
  startedAt: Date,
  { outcome, reason }: Pick<Finished, 'outcome' | 'reason'>,
): Ended {
  const finishedAt = clock();
  const durationSeconds = Math.max(0, finishedAt.getTime() - startedAt.getTime()) / 1000;
  const sla = slaStatus(durationSeconds, expected.allowedSeconds, settings.sla);
  return { outcome, reason, startedAt, finishedAt, durationSeconds, slaStatus: sla };
}

/** What a look along with another found; that its own cron came it does not say. */
export async function settleShared(
  services: Services,
  { name }: Expected,
  looked: Date,
  nextLook: NextLook | undefined,
): Promise<void> {
  const { safetySeconds, basis } = knowing(services, looked);
  const until = untilOf(nextLook, { looked, daily: declaredJob(name).daily, safetySeconds });
  if (await settleLook(services.redis, name, { looked, until, basis }))
    await noteInRedis(services, name, looked);
}

/** First in Redis, then in PostgreSQL, which then knows where to find who comes without asking it. */
async function noted(
  expected: Expected,
  services: Services,
  about: Ended,
  { known, nextLook }: { readonly known: Known | null; readonly nextLook: NextLook | undefined },
): Promise<void> {
  const ended = { ...about, knowsNext: nextLook !== undefined };
  if (!known) return noteEnd(services, expected, ended);
  const { startedAt, finishedAt, outcome, reason } = ended;
  const { safetySeconds, basis } = knowing(services, startedAt);
  const daily = expected.kind === 'job' ? declaredJob(expected.name).daily : expected.schedule;
  const until = untilOf(nextLook, { looked: startedAt, daily, safetySeconds });
  const before = notesIn(known).get(expected.name)?.workedAt ?? null;
  const workedAt = didItsWork(ended) ? startedAt : before;
  const sla = outcome === 'skipped' ? null : ended.slaStatus;
  const note = noteText({ startedAt, finishedAt, workedAt, outcome, reason, slaStatus: sla });
  const isKnown = await settleLook(services.redis, expected.name, { looked: startedAt, until, basis, note });
  // A policy's own run always asks: what is not noted in PostgreSQL did not come.
  await noteEnd(services, expected, { ...ended, inRedis: isKnown && expected.kind === 'job' });
}
