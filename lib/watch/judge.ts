/**
 * Did it run, and in time (M4)? Pure: what is expected and what is on record, judged at an instant. A run that
 * started but was kept from working is not missing: it is withheld, and says by what.
 */
import type { Symptom } from '../platform/alerts/incidents';
import type { Settings } from '../platform/settings';
import { dueBefore, type Expected } from './expected';

/** All that is on record; `null` where there is nothing. */
export interface Attendance {
  readonly expectedSince: Date;
  readonly startedAt: Date | null;
  readonly finishedAt: Date | null;
  /** Start of the latest that did its work. */
  readonly workedAt: Date | null;
  readonly outcome: string | null;
  readonly reason: string | null;
  readonly slaStatus: string | null;
  /** Stopped by an operator right now: `paused`, `stopped`. */
  readonly stopped: 'paused' | 'stopped' | null;
}

export type Status = 'on_time' | 'warning' | 'breached' | 'withheld';
export interface Verdict {
  readonly status: Status;
  readonly symptoms: readonly Symptom[];
}

/** A run asked for a moment before its schedule stands for it; also what two clocks may differ by. */
const EARLY_MS = 60_000;
const WITHHOLDING: Readonly<Record<string, string>> = {
  paused: 'it is paused; policy.resume lets it run',
  stopped: 'everything is stopped; all.resume lets it run',
  breaker: 'its breaker is open; see why its runs failed, then breaker.close',
  guarded: 'its guard stopped it; look at a dry run, then approve it or correct the policy',
  cooling: 'a changed policy waits out its cooling-off',
  outbox: 'too many files of deleted rows wait for the store; see why blob-outbox does not keep up',
};

/** The causes a judgment may give for a name: whatever of them it does not give is over. */
export const CAUSES = ['run.late', 'run.withheld', 'run.slow'] as const;

export function judge(expected: Expected, attended: Attendance, now: Date, sla: Settings['sla']): Verdict {
  const slow = slowness(expected, attended);
  const late = (percent: number) =>
    missed(expected, attended, now, (expected.latenessSeconds * percent) / 100);
  const breached = late(sla.criticalPercent);
  const due = breached ?? late(sla.warningPercent);
  if (due === null) return { status: 'on_time', symptoms: slow };
  const came = attended.startedAt !== null && attended.startedAt.getTime() >= due.getTime() - EARLY_MS;
  const by =
    WITHHOLDING[attended.stopped ?? (came && attended.outcome === 'skipped' ? (attended.reason ?? '') : '')];
  if (by !== undefined) {
    const message = `${expected.name} was due at ${at(due)} and does not work: ${by}`;
    const withheld: Symptom = { cause: `run.withheld:${expected.name}`, severity: 'warning', message };
    return { status: 'withheld', symptoms: [...slow, withheld] };
  }
  const severity = breached ? 'critical' : 'warning';
  const message = `${expected.name} was due at ${at(due)} and has not done its work: ${came ? howItEnded(attended) : itNeverCame(attended)}`;
  const symptom: Symptom = { cause: `run.late:${expected.name}`, severity, message };
  return { status: breached ? 'breached' : 'warning', symptoms: [...slow, symptom] };
}

/** The run that should have begun by now and did not; null when all is well. */
function missed(expected: Expected, attended: Attendance, now: Date, lateSeconds: number): Date | null {
  const due = dueBefore(expected.schedule, now, lateSeconds);
  if (due === null || due <= attended.expectedSince) return null;
  const since = due.getTime() - EARLY_MS;
  if (attended.workedAt !== null && attended.workedAt.getTime() >= since) return null;
  return isRunning(expected, attended, now) && attended.startedAt!.getTime() >= since ? null : due;
}

const isRunning = (expected: Expected, attended: Attendance, now: Date): boolean =>
  attended.startedAt !== null &&
  (attended.finishedAt === null || attended.finishedAt < attended.startedAt) &&
  now.getTime() - attended.startedAt.getTime() <= expected.allowedSeconds * 1000;

const howItEnded = (attended: Attendance): string =>
  attended.finishedAt === null || attended.finishedAt < attended.startedAt!
    ? `it began at ${at(attended.startedAt!)} and never ended`
    : `it came at ${at(attended.startedAt!)} and was ${attended.outcome} (${attended.reason ?? 'no reason given'})`;

const itNeverCame = (attended: Attendance): string =>
  attended.startedAt === null
    ? 'it never came; check the crons of the deployment and CRON_SECRET'
    : `it last came at ${at(attended.startedAt)}; check the crons of the deployment and its log`;

function slowness(expected: Expected, attended: Attendance): Symptom[] {
  if (attended.slaStatus !== 'warning' && attended.slaStatus !== 'breached') return [];
  const severity = attended.slaStatus === 'breached' ? 'critical' : 'warning';
  const message = `${expected.name} took ${attended.slaStatus === 'breached' ? 'longer than' : 'nearly all of'} the ${expected.allowedSeconds} s it may take`;
  return [{ cause: `run.slow:${expected.name}`, severity, message }];
}

const at = (d: Date): string => `${d.toISOString().slice(0, 16)}Z`;
