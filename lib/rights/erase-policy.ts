/**
 * Erases one subject from one policy's table: a run of the engine under the policy's lease, with one leg and neither
 * guard nor cursor. Age, tier, extensions and soft deletion count for nothing, holds win. What was done is gone, and
 * the next attempt starts from the beginning.
 */
import type { Logger } from 'pino';
import { Batches } from '../engine/run/batches';
import { open } from '../engine/run/begin';
import { limited, stoppedBy } from '../engine/run/endings';
import { Run } from '../engine/run/execution';
import { underLease } from '../engine/run/lease';
import { runPass } from '../engine/run/pass';
import type { Leg } from '../engine/statement/leg';
import { CHECKS_OF_ERASURE } from '../engine/statement/preflight';
import { announceFiles } from '../files/announce';
import { PreflightError } from '../platform/errors';
import { type Ending, type Kept, noneKept, type Outcome } from '../platform/outcome';
import { namesFiles } from '../policies/going';
import type { Services } from '../services';
import type { ErasureCall } from './result';
import type { Reach } from './subject';

export interface Erased {
  readonly policy: string;
  readonly outcome: Outcome | 'out_of_reach';
  readonly reason: string | null;
  readonly runId: string | null;
  readonly deleted: number;
  readonly dependantsDeleted: number;
  readonly files: number;
  readonly bytes: number;
  /** Rows of the subject that stay, by reason. */
  readonly kept: Kept;
}

export async function erasePolicy(
  services: Services,
  { policy, erasing, leg }: Reach,
  { actor, correlationId, deadline }: ErasureCall,
  log: Logger,
): Promise<Erased> {
  if (!leg) return outOfReach(policy.name);
  const request = { trigger: 'manual' as const, actor, correlationId, deadline, dryRun: false };
  const run = new Run(services, policy, request, 'erasure', log);
  const { ending, totals } = await underLease(run, { work: () => erase(run, erasing, leg) });
  return {
    policy: policy.name,
    outcome: ending.outcome,
    reason: ending.reason,
    runId: run.isRecorded ? run.id : null,
    deleted: totals?.deleted ?? run.tally.deleted,
    dependantsDeleted: totals?.dependants_deleted ?? 0,
    files: totals?.files_queued ?? run.tally.files,
    bytes: totals?.bytes_freed ?? 0,
    kept: run.tally.kept,
  };
}

/** `erasing`: the policy, deleting for good. */
async function erase(run: Run, erasing: Reach['erasing'], leg: Leg): Promise<Ending> {
  const checks = CHECKS_OF_ERASURE;
  const { opened } = await open(run, { policy: erasing, checks, more: {} });
  if (opened.refused) return stoppedBy(opened.refused);
  const { policy, fence, asOf, problems } = opened;
  if (problems.length > 0) throw new PreflightError(policy.name, problems);
  const most = { rows: Number.POSITIVE_INFINITY, ending: limited };
  const work = { policy, fence, total: null, most, mostFiles: Number.POSITIVE_INFINITY, checks };
  if (namesFiles(policy)) await announceFiles(run.session.redis, run.request.deadline);
  return runPass(run, work, [leg], { batches: new Batches(run, work), asOf, from: null });
}

const outOfReach = (policy: string): Erased => ({
  policy,
  outcome: 'out_of_reach',
  reason: null,
  runId: null,
  deleted: 0,
  dependantsDeleted: 0,
  files: 0,
  bytes: 0,
  kept: noneKept(),
});
