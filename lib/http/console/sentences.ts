/**
 * One sentence for each state a policy or a run can be in: what happens, what will, and who must do something. Pure. Each reason
 * that the engine has stands here once: a new one without a sentence does not compile.
 */
import { FAILURES } from '../../engine/guard/breaker';
import {
  KEPT_REASONS,
  type Kept,
  type KeptBelow,
  type Outcome,
  type Reason,
  type ROW_TOO_LARGE,
} from '../../platform/outcome';
import { clockOf, countOf, manyOf, minuteOf, spanOf } from './words';

/** `run`: at work · `good`: as it should be · `wait`: a person is needed · `bad`: failed · `rest`: nothing happens now. */
export type Tone = 'run' | 'good' | 'wait' | 'bad' | 'rest';

export interface State {
  readonly mark: string;
  readonly word: string;
  readonly tone: Tone;
  readonly sentence: string;
}

/** What the record of a run says of it. */
export interface RunFacts {
  readonly mode: 'delete' | 'dry_run';
  readonly outcome: Outcome | null;
  readonly reason: string | null;
  readonly startedAt: Date;
  readonly finishedAt: Date | null;
  readonly deleted: number;
  readonly batches: number;
  readonly kept: Readonly<Record<string, number>>;
  readonly keptBelow: KeptBelow;
  /** Of a dry run, or by the newest one where the guard stopped: what would go, and in how many runs. */
  readonly wouldGo: { readonly rows: number; readonly runs: number } | null;
}

/** How far a run under way is: lib/engine/run/checkpoint.ts. */
export interface Live {
  readonly processed: number;
  /** Null: more than was counted. */
  readonly total: number | null;
  /** When it last said so; null when it has not yet. */
  readonly heardAt: Date | null;
}

const state = (mark: string, word: string, tone: Tone, sentence: string): State => ({
  mark,
  word,
  tone,
  sentence,
});

/** Longer without news than any batch takes: then the lease runs out, and the next run takes over. */
const SILENT_SECONDS = 30;
/** How long a lease lasts without being renewed. */
const LEASE_SECONDS = 30;
/** A rate of less than this says nothing yet. */
const LEAST_SECONDS = 3;

export function running(live: Live, startedAt: Date, now: Date): State {
  const silent = live.heardAt ? (now.getTime() - live.heardAt.getTime()) / 1000 : 0;
  if (silent > SILENT_SECONDS) return silentFor(silent);
  const said = (sentence: string) => state('▶', 'Running', 'run', sentence);
  const { processed, total } = live;
  if (total === null) return said(`Deleting: ${countOf(processed)} so far. The total is not known yet.`);
  if (processed > total) return said(`Deleting: ${countOf(processed)} (${countOf(total)} expected).`);
  const left = secondsLeft(live, startedAt);
  const about = left === null ? '' : `, ${aboutOf(left)} left`;
  const share = total === 0 ? '' : ` (${Math.floor((processed / total) * 100)} %)`;
  return said(`Deleting: ${countOf(processed)} of ${countOf(total)}${share}${about}.`);
}

function silentFor(seconds: number): State {
  const leaseLeft = Math.max(0, SILENT_SECONDS + LEASE_SECONDS - seconds);
  const takesOver = 'the next run takes over where this one stopped';
  const then =
    leaseLeft > 0
      ? `The lease ends in ${spanOf(leaseLeft)}; then ${takesOver}.`
      : `Its lease has ended; ${takesOver}.`;
  return state('▶', 'Silent', 'wait', `No news for ${spanOf(seconds)}. ${then}`);
}

/** At the rate of this run so far; null while that says nothing. */
export function secondsLeft({ processed, total, heardAt }: Live, startedAt: Date): number | null {
  if (total === null || heardAt === null || processed === 0 || processed >= total) return null;
  const took = (heardAt.getTime() - startedAt.getTime()) / 1000;
  return took < LEAST_SECONDS ? null : ((total - processed) * took) / processed;
}

/** Rounded so that it does not jump: `about 3 min`. */
export function aboutOf(seconds: number): string {
  if (seconds < 10) return 'a few seconds';
  if (seconds < 60) return `about ${Math.ceil(seconds / 10) * 10} s`;
  if (seconds < 3600) return `about ${Math.round(seconds / 60)} min`;
  return `about ${spanOf(Math.round(seconds / 600) * 600)}`;
}

const KEPT_BECAUSE: Readonly<Record<keyof Kept, string>> = {
  held: 'because of a hold',
  extended: 'because of an extension',
  dead_letter: 'because they could not go before',
  referenced: 'because other rows refer to them',
  not_expired: 'because they are not past their date',
  condition: 'because the policy’s condition is not true for them',
  newest: 'because they are the newest of their group',
  one_of_period: 'because one of each period stays',
  unnoticed: 'because their organization was not told in time',
  unknown_rule: 'because no rule of the policy names their case',
  busy: 'because someone else was changing them',
  changed: 'because they changed meanwhile',
};

const ofOne = (why: string): string =>
  why.replace('they are', 'it is').replace('they ', 'it ').replace('their', 'its').replace('them', 'it');

/** `3 kept because of a hold (2 by rows of public.note), 1 because other rows refer to them`; empty when nothing was. */
export function keptInWords(kept: Readonly<Record<string, number>>, below: KeptBelow = {}): string {
  const parts = KEPT_REASONS.filter((reason) => (kept[reason] ?? 0) > 0).map(
    (reason) => [kept[reason]!, KEPT_BECAUSE[reason], byWhose(below[reason])] as const,
  );
  return parts
    .map(([n, why, by], i) => `${countOf(n)}${i === 0 ? ' kept' : ''} ${n === 1 ? ofOne(why) : why}${by}`)
    .join(', ');
}

const byWhose = (tables: Readonly<Record<string, number>> = {}): string => {
  const said = Object.entries(tables).map(([table, n]) => `${countOf(n)} by rows of ${table}`);
  return said.length === 0 ? '' : ` (${said.join(', ')})`;
};

/** Without rows that are no exception: not past their date. */
function exceptions({ kept, keptBelow }: RunFacts): string {
  const { not_expired: _, ...rest } = kept;
  return keptInWords(rest, keptBelow);
}

type Told = (run: RunFacts) => Pick<State, 'mark' | 'word' | 'tone' | 'sentence'>;

const gone = ({ deleted }: RunFacts): string =>
  deleted === 0 ? 'Nothing was deleted.' : `${countOf(deleted)} deleted before that; they are receipted.`;
const interrupted =
  (sentence: (run: RunFacts) => string, tone: Tone = 'rest'): Told =>
  (run) =>
    state('◐', 'Interrupted', tone, sentence(run));
const skipped =
  (sentence: (run: RunFacts) => string, word = 'Skipped', tone: Tone = 'rest', mark = '○'): Told =>
  (run) =>
    state(mark, word, tone, sentence(run));
const errored =
  (sentence: string): Told =>
  (run) =>
    state('✕', 'Errored', 'bad', `${sentence} ${halfDone(run)}`);

const halfDone = ({ deleted, batches }: RunFacts): string =>
  batches === 0
    ? 'Nothing was deleted.'
    : `Failed after ${manyOf(batches, 'batch', 'batches')}: ${countOf(deleted)} deleted before are receipted; nothing is half done.`;

const archiving = 'Rows could not be archived, so none of them was deleted:';

const REASONS: Readonly<Record<Reason, Told>> = {
  time: interrupted(
    (r) => `Out of time after ${tookOf(r)}. The place is kept; the next run continues there.`,
  ),
  lost: interrupted((r) => `Its runner ended without a word. ${gone(r)} The next run took over.`, 'wait'),
  limit: interrupted((r) => `Stopped at the limit it was given, after ${countOf(r.deleted)}.`),
  rollout: interrupted(
    (r) =>
      `Stopped at its step of the rollout, after ${countOf(r.deleted)}. The next step follows a clean night.`,
  ),
  approval: interrupted(
    () => 'All approved rows have gone; others have become due since: look at a new dry run.',
    'wait',
  ),
  busy: interrupted(() => 'Rows that may go are locked by someone else; the next run tries them again.'),
  unproved: interrupted(() => 'The last look for what is left took too long; the next run looks again.'),
  lease: interrupted((r) => `The lease was lost, so it stopped. ${gone(r)} The next run continues.`),
  fenced: interrupted((r) => `Another run took over. ${gone(r)}`),
  outbox: (r) =>
    r.outcome === 'interrupted'
      ? interrupted((of) => `Too many files wait for the store. ${gone(of)}`, 'wait')(r)
      : skipped(
          () => 'Too many files wait for the store: find out why blob-outbox does not keep up.',
          'Waits',
          'wait',
          '▲',
        )(r),
  paused: (r) =>
    r.outcome === 'interrupted'
      ? interrupted(
          (of) => `Stopped by a pause at batch ${countOf(of.batches)}. Nothing after it was deleted.`,
        )(r)
      : skipped(() => 'Paused. Nothing is deleted.', 'Paused', 'rest', 'Ⅱ')(r),
  stopped: skipped(() => 'Everything is stopped. Nothing is deleted.', 'Stopped', 'wait', 'Ⅱ'),
  locked: skipped(() => 'Another run was at work. Nothing to do here.'),
  breaker: skipped(
    () => 'Failed several times in a row, so it waits before it tries again.',
    'Breaker open',
    'wait',
    '▲',
  ),
  cooling: skipped(
    () => 'A shorter period waits out its cooling-off before it deletes anything.',
    'Cooling off',
  ),
  guarded: skipped(
    ({ wouldGo }) =>
      `Stopped before deleting: more rows would go than usual${wouldGo ? ` (${countOf(wouldGo.rows)} by the newest dry run)` : ''}. Nothing was deleted. Waits for approval.`,
    'Guarded',
    'wait',
    '▲',
  ),
  preflight: errored(
    'Refused: the database is not fit for this policy yet; a dry run names what is missing.',
  ),
  redis: errored('Redis did not answer, and without it no run starts.'),
  'database.transient': errored('The database could not be reached.'),
  'database.busy': errored('The database refused: too busy.'),
  'database.unknown': errored('The answer of the database was lost; the next run finds out what was done.'),
  'database.poisoned': errored('A row refuses to go.'),
  'database.timeout': errored('A statement took too long.'),
  'database.fenced': errored('Another run took over.'),
  'database.fatal': errored('The database refused; the log says what.'),
  'blob.transient': errored(`${archiving} the store could not be reached.`),
  'blob.not_found': errored(`${archiving} a file is missing in the store.`),
  'blob.changed': errored(`${archiving} a file of that name is there with other content.`),
  'blob.refused': errored(`${archiving} the store refused.`),
  'blob.fatal': errored(`${archiving} the store refused everything; look at BLOB_READ_WRITE_TOKEN.`),
  'archive.missing': errored(`${archiving} not all of the archive is there.`),
  'archive.damaged': errored(`${archiving} what was read back is not what was written.`),
  ['archive.row_too_large' satisfies typeof ROW_TOO_LARGE]: errored(`${archiving} one row is too large.`),
};

const tookOf = ({ startedAt, finishedAt }: RunFacts): string =>
  finishedAt === null ? 'its time' : spanOf((finishedAt.getTime() - startedAt.getTime()) / 1000);

const isReason = (reason: string): reason is Reason => Object.hasOwn(REASONS, reason);

/** Of a run that has ended. A reason that another version wrote is shown as it is. */
export function ended(run: RunFacts): State {
  if (run.mode === 'dry_run') return dryRun(run);
  if (run.reason !== null) {
    return isReason(run.reason)
      ? REASONS[run.reason](run)
      : state('◐', 'Ended', 'wait', `Ended because of ${run.reason}. ${gone(run)}`);
  }
  const at = clockOf(run.finishedAt ?? run.startedAt);
  const kept = exceptions(run);
  if (run.deleted > 0) {
    const with_ = `${countOf(run.deleted)} deleted at ${at}${kept ? `, ${kept}` : ''}`;
    return state('✓', 'Drained', 'good', `Nothing past its date is left. ${with_}.`);
  }
  return state('✓', 'Drained', 'good', `Ran and found nothing to delete${kept ? `; ${kept}` : ''}.`);
}

function dryRun(run: RunFacts): State {
  const said = (tone: Tone, sentence: string) => state('◇', 'Dry run', tone, `[DRY RUN] ${sentence}`);
  const cannot = 'Nothing was deleted; it cannot.';
  if (run.outcome === 'errored') return said('bad', `Found what keeps this policy from deleting. ${cannot}`);
  const { rows, runs } = run.wouldGo ?? { rows: 0, runs: 0 };
  const least = run.outcome === 'interrupted' ? 'at least ' : '';
  const inRuns = runs > 1 ? `, in about ${manyOf(runs, 'run')}` : '';
  return said('rest', `Would delete ${least}${manyOf(rows, 'row')}${inRuns}. ${cannot}`);
}

/** What a policy is doing, as far as it is known: the weightiest first. */
export interface PolicyFacts {
  readonly stopped: { readonly by: string; readonly why: string; readonly at: Date } | null;
  readonly paused: { readonly by: string; readonly why: string; readonly at: Date | null } | null;
  /** Under way now, as its record and its checkpoint say. */
  readonly live: (Live & { readonly startedAt: Date }) | null;
  /** Open: runs failed in a row, and it is tried again in so many seconds. */
  readonly breaker: { readonly secondsLeft: number } | null;
  readonly run: RunFacts | null;
  readonly next: Date | null;
}

export function policyState(facts: PolicyFacts, now: Date): State {
  const { stopped, paused, live, breaker, run, next } = facts;
  if (live) return running(live, live.startedAt, now);
  if (stopped) {
    const since = `Everything is stopped by ${stopped.by} since ${minuteOf(stopped.at)}`;
    return state('Ⅱ', 'Stopped', 'wait', `${since}: “${stopped.why}”. Nothing is deleted.`);
  }
  if (paused) {
    const since = paused.at ? ` since ${minuteOf(paused.at)}` : '';
    return state('Ⅱ', 'Paused', 'rest', `By ${paused.by}${since}: “${paused.why}”. Nothing is deleted.`);
  }
  if (breaker) {
    const again = clockOf(new Date(now.getTime() + breaker.secondsLeft * 1000));
    const failed = `Failed ${FAILURES} times or more in a row${run?.reason ? ` (${run.reason})` : ''}.`;
    return state('▲', 'Breaker open', 'wait', `${failed} Tries again after ${again}.`);
  }
  if (run === null) {
    return state(
      '○',
      'Not run yet',
      'rest',
      next ? `Its first run is at ${minuteOf(next)}.` : 'It has no schedule.',
    );
  }
  if (run.outcome === null) {
    return state('▶', 'Unheard', 'wait', `Began at ${minuteOf(run.startedAt)} and has not said how it goes.`);
  }
  return ended(run);
}

/** Worst first: what needs a person, what failed, what runs, what rests, what is well. */
const WEIGHT: Readonly<Record<Tone, number>> = { bad: 0, wait: 1, run: 2, rest: 3, good: 4 };
export const byWeight = (a: State, b: State): number => WEIGHT[a.tone] - WEIGHT[b.tone];
