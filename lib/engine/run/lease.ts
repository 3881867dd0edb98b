/**
 * What every run is wrapped in: the policy's lease, and at the end the end of its record, after which it can delete
 * nothing more, and the lease given back. Correctness is the fence's and the batch's; the lease only keeps a second
 * runner from wasting its time.
 */
import pRetry from 'p-retry';
import { codeOf, DatabaseError } from '../../platform/errors';
import type { Ending } from '../../platform/outcome';
import type { Cursor } from './checkpoint';
import { explain } from './endings';
import type { Run } from './execution';
import { endRun, type RunTotals } from './record';
import type { RunResult } from './result';

export interface Ended {
  readonly ending: Ending;
  /** Whether it had the lease. */
  readonly held: boolean;
  readonly heldBy: RunResult['heldBy'];
  /** From the receipts; null when nothing was recorded by now. */
  readonly totals: RunTotals | null;
}

/** What a run does while it has the lease, and why the lease is not even asked for. */
interface Held {
  work(cursor: Cursor | null): Promise<Ending>;
  refused?(): Promise<Ending | null>;
}

/** Never throws for what can happen to a run: outcome `errored` says what happened and what to do. */
export async function underLease(run: Run, { work, refused }: Held): Promise<Ended> {
  let held = false;
  let heldBy: RunResult['heldBy'];
  let ending: Ending;
  try {
    const refusal = (await refused?.()) ?? null;
    const lease = refusal ? null : await run.session.acquire();
    if (lease?.held) {
      held = true;
      ending = await work(lease.cursor);
    } else if (lease) {
      heldBy = { holder: lease.holder, secondsLeft: Math.ceil(lease.millisecondsLeft / 1000) };
      ending = lockedBy(heldBy);
    } else {
      ending = refusal!;
    }
  } catch (error) {
    ending = explain(error);
  }
  const totals = run.isOpen ? await recordEnd(run, ending) : null;
  if (held) await giveBack(run, ending);
  return { ending, held, heldBy, totals };
}

const lockedBy = ({ holder, secondsLeft }: NonNullable<RunResult['heldBy']>): Ending => ({
  outcome: 'skipped',
  reason: 'locked',
  message: `run ${holder} holds the lease; it ends or expires within ${secondsLeft} s unless renewed`,
});

async function recordEnd(run: Run, ending: Ending): Promise<RunTotals | null> {
  const { session, services, log } = run;
  try {
    return await pRetry(() => endRun(session.database, run.end(ending, services.clock())), {
      ...services.backoff,
      retries: 3,
      shouldRetry: ({ error }) => error instanceof DatabaseError && error.mayPass,
    });
  } catch (error) {
    // The next run closes the record from the receipts.
    log.error(
      { event: 'run.unrecorded', error_code: codeOf(error) },
      'the end of the run could not be recorded',
    );
    return null;
  }
}

/** A drained pass needs its cursor no more; an erasure leaves that of the policy's own pass where it is. */
async function giveBack(run: Run, ending: Ending): Promise<void> {
  try {
    await run.session.release(run.keepsCursor && ending.outcome === 'succeeded');
  } catch (error) {
    run.log.warn({ event: 'lease.unreleased', error_code: codeOf(error) }, 'the lease will expire by itself');
  }
}
