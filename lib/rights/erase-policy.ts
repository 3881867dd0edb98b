/**
 * One step of an erasure: a run of the engine under the lease of its policy, with one leg and neither guard nor cursor. Age,
 * tier, extensions and soft deletion count for nothing, holds win. What was done is done, and the next attempt starts from the
 * beginning.
 */
import type { Logger } from 'pino';
import { Batches } from '../engine/run/batches';
import { open } from '../engine/run/begin';
import { limited, stoppedBy } from '../engine/run/endings';
import { Run } from '../engine/run/execution';
import { underLease } from '../engine/run/lease';
import { runPass } from '../engine/run/pass';
import { CHECKS_OF_ERASURE } from '../engine/statement/preflight';
import { announceFiles } from '../files/announce';
import { PreflightError } from '../platform/errors';
import { type Ending, type Kept, noneKept, type Outcome } from '../platform/outcome';
import { namesFiles } from '../policies/contents';
import type { Services } from '../services';
import type { Step } from './graph';
import type { ErasureCall } from './result';

/** What one call did; what all did stands in the receipts of the step's runs. */
export interface Erased {
  readonly step: Step;
  readonly outcome: Outcome;
  readonly reason: string | null;
  /** What happened and what to do, for a step that failed; null for any other. */
  readonly message: string | null;
  /** Rows that went, or were masked. */
  readonly changed: number;
  /** Rows of the subject that stay, by reason. */
  readonly kept: Kept;
}

/** `begun`: told the run's id before anything of it is done, so that its receipts are found whatever becomes of this call. */
export async function erasePolicy(
  services: Services,
  step: Step,
  { actor, correlationId, deadline }: ErasureCall,
  log: Logger,
  begun: (run: string) => Promise<void>,
): Promise<Erased> {
  const request = { trigger: 'manual' as const, actor, correlationId, deadline, dryRun: false };
  const run = new Run(services, step.policy, request, 'erasure', log);
  const { ending } = await underLease(run, { work: () => erase(run, step, begun) });
  const { outcome, reason } = ending;
  const message = outcome === 'errored' ? ending.message : null;
  return { step, outcome, reason, message, changed: run.tally.deleted, kept: run.tally.kept };
}

async function erase(
  run: Run,
  { erasing, leg }: Step,
  begun: (run: string) => Promise<void>,
): Promise<Ending> {
  const checks = CHECKS_OF_ERASURE;
  await begun(run.id);
  const { opened } = await open(run, { policy: erasing, checks, more: {} });
  if (opened.refused) return stoppedBy(opened.refused);
  const { policy, fence, asOf, problems } = opened;
  if (problems.length > 0) throw new PreflightError(policy.name, problems);
  const most = { rows: Number.POSITIVE_INFINITY, ending: limited };
  const work = { policy, fence, total: null, most, mostFiles: Number.POSITIVE_INFINITY, checks };
  if (namesFiles(policy)) await announceFiles(run.session.redis, run.request.deadline);
  return runPass(run, work, [leg], { batches: new Batches(run, work), asOf, from: null });
}

/** A table of which nothing of the subject is there. */
export const nothingOf = (step: Step): Erased => ({
  step,
  outcome: 'succeeded',
  reason: null,
  message: null,
  changed: 0,
  kept: noneKept(),
});

/** A mask that would take away how rows that are still here are found. */
export const waiting = (step: Step): Erased => ({
  step,
  outcome: 'skipped',
  reason: 'waits',
  message: null,
  changed: 0,
  kept: noneKept(),
});
