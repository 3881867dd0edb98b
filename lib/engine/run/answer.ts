/** The answer of a run, of one that deleted as of one that only looked. */
import type { Ending } from '../../platform/outcome';
import type { Run } from './execution';
import type { RunResult } from './result';

/** With what is known only to its kind; counts are the tally's unless the receipts say otherwise. */
export function resultOf(
  run: Run,
  ending: Ending,
  finishedAt: Date,
  known: Partial<RunResult> & Pick<RunResult, 'mode' | 'asOf'>,
): RunResult {
  const { tally, session } = run;
  return {
    policy: run.policy.name,
    runId: run.id,
    ...ending,
    correlationId: run.request.correlationId,
    startedAt: run.startedAt.toISOString(),
    durationSeconds: run.deadline.seconds(finishedAt),
    batches: tally.batches,
    picked: tally.picked,
    deleted: tally.deleted,
    dependantsDeleted: 0,
    filesQueued: 0,
    bytesFreed: 0,
    byRule: {},
    kept: tally.kept,
    keptBelow: tally.keptBelow,
    requests: { postgres: session.database.requests, redis: session.redis.commands },
    slaStatus: run.slaStatus(finishedAt),
    ...known,
  };
}
