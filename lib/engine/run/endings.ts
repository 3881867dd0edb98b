/** The ways a run ends, each with its message for the reader. */
import {
  ArchiveError,
  BlobError,
  DatabaseError,
  LapseError,
  PreflightError,
  RedisError,
} from '../../platform/errors';
import { type Ending, type Reason, ROW_TOO_LARGE } from '../../platform/outcome';

export const drained: Ending = {
  outcome: 'succeeded',
  reason: null,
  message: 'drained: nothing is left before the cutoff',
};
export const outOfTime: Ending = {
  outcome: 'interrupted',
  reason: 'time',
  message: 'out of time; the next run continues from the cursor',
};
export const limited: Ending = {
  outcome: 'interrupted',
  reason: 'limit',
  message: 'the limit of this run is reached; the next run continues from the cursor',
};
export const approvedGone: Ending = {
  outcome: 'interrupted',
  reason: 'approval',
  message: 'all approved rows have gone; others have become due since: look at a new dry run',
};
export const busy: Ending = {
  outcome: 'interrupted',
  reason: 'busy',
  message: 'rows that may go are locked by someone else; the next run tries them again',
};
export const unproved: Ending = {
  outcome: 'interrupted',
  reason: 'unproved',
  message: 'the proof of being drained took too long; the next run looks again',
};
export const leaseLost: Ending = {
  outcome: 'interrupted',
  reason: 'lease',
  message: 'the lease was lost to another run, or Redis lost it; this run stopped',
};

export const stoppedBy = (reason: 'paused' | 'stopped'): Ending => ({
  outcome: 'skipped',
  reason,
  message: `${reason === 'stopped' ? 'everything is stopped' : 'this policy is paused'}; resume it to let it run`,
});
export const breakerOpen = (breaker: { failures: number; secondsLeft: number }): Ending => ({
  outcome: 'skipped',
  reason: 'breaker',
  message: `${breaker.failures} runs failed in a row; tried again in ${breaker.secondsLeft} s, or close the breaker`,
});

/** What a failure means for the run, in words that say what to do and hold no row values. */
export function explain(error: unknown): Ending {
  if (error instanceof DatabaseError && error.failure === 'fenced') {
    return error.sqlState === 'LP003'
      ? {
          outcome: 'interrupted',
          reason: 'paused',
          message: 'paused while running; resume the policy to continue',
        }
      : {
          outcome: 'interrupted',
          reason: 'fenced',
          message: 'another run took over; this one may delete nothing more',
        };
  }
  if (error instanceof DatabaseError) {
    if (error.failure === 'busy')
      return { ...busy, message: `could not acquire the locks: ${error.message}` };
    return { outcome: 'errored', reason: `database.${error.failure}`, message: error.message };
  }
  if (error instanceof PreflightError || error instanceof RedisError) {
    const reason = error instanceof RedisError ? 'redis' : 'preflight';
    return { outcome: 'errored', reason, message: error.message };
  }
  const reason = whyNotArchived(error);
  if (reason === null) throw error;
  const message = `rows could not be archived, so none of them was deleted: ${(error as LapseError).message}`;
  return { outcome: 'errored', reason, message };
}

function whyNotArchived(error: unknown): Reason | null {
  if (error instanceof BlobError) return `blob.${error.failure}`;
  if (error instanceof ArchiveError) return `archive.${error.failure}`;
  return error instanceof LapseError && error.code === ROW_TOO_LARGE ? ROW_TOO_LARGE : null;
}
