/**
 * May this run begin to delete, and how much? Asked once, after the fence and before the first batch:
 * cooling-off → mass-deletion guard → rollout's step → an approval, where one of the two
 * stands in the way. Everything here can only stop a run or make it smaller.
 */
import type { Logger } from 'pino';
import { DatabaseError } from '../../platform/errors';
import type { Asking } from '../../platform/session';
import type { Settings } from '../../platform/settings';
import type { Policy } from '../../policies/contract';
import { withPeriods } from '../../policies/effective';
import { countCandidates } from '../statement/count';
import { DUE_CAP } from '../statement/drained';
import { type Leg, legsOf } from '../statement/leg';
import { type ApprovalUse, redeemApproval } from './approval';
import type { AdmissionFacts } from './facts';
import { limitOf } from './mass';
import { rolloutMessage, stepOf } from './rollout';

/** Counting with the whole predicate may have to read many rows that stay: as long as the run's first request. */
const COUNT = { statementMs: 15_000 };

export interface Applicant {
  readonly policy: Policy;
  readonly version: string;
  readonly runId: string;
  readonly asOf: string;
  readonly facts: AdmissionFacts;
  /** Rows before their cutoffs, DUE_CAP + 1 for "more"; null when not known. */
  readonly due: number | null;
  readonly guards: Settings['guards'];
  readonly asking: Asking;
  /** READ ONLY. */
  readonly reading: Asking;
  readonly inTime: () => boolean;
  readonly log: Logger;
}

export type Admission =
  | { readonly stop: { readonly reason: 'cooling' | 'guarded'; readonly message: string } }
  | {
      readonly stop: null;
      /** What is walked, with the periods that count now, counted back from an instant. */
      readonly legs: (asOf: string) => Leg[];
      /** Retention is counted back from here. */
      readonly asOf: string;
      /** At most so many rows; null for all. With `approved` they are all that was approved. */
      readonly limit: { readonly rows: number; readonly message: string } | null;
      readonly approved: boolean;
    };

type Legs = (asOf: string) => Leg[];

/** What stands in the way of the whole: the guard, or a step of the rollout. */
interface Hindrance {
  readonly stopped: string | null;
  readonly step: number | null;
}

export async function admit(applicant: Applicant): Promise<Admission> {
  if (applicant.facts.waits_until !== null) {
    return {
      stop: {
        reason: 'cooling',
        message: `this version reaches other rows than the one before; it waits out the cooling-off until ${applicant.facts.waits_until}`,
      },
    };
  }
  const policy = withPeriods(applicant.policy, applicant.facts.periods);
  const legs: Legs = (asOf) => legsOf(policy, new Date(asOf), applicant.guards.coolingOffSeconds);
  const stopped = await guarded(applicant, policy, legs(applicant.asOf));
  const step = applicant.guards.rollout && policy.rollout ? stepOf(applicant.facts.clean_runs) : null;
  const use = await approved(applicant, policy, legs, { stopped, step });
  if (use?.counts) {
    const limit = { rows: use.rows, message: `the ${use.rows} approved rows` };
    return { stop: null, legs, asOf: use.asOf, limit, approved: true };
  }
  if (stopped !== null) {
    const refused = use ? ` ${refusal(use.why)}` : '';
    const message = `stopped before the first delete: ${stopped}.${refused} Look at a dry run, then approve its digest, or correct the policy`;
    return { stop: { reason: 'guarded', message } };
  }
  const limit = step === null ? null : { rows: step, message: rolloutMessage(step) };
  return { stop: null, legs, asOf: applicant.asOf, limit, approved: false };
}

/** The open approval, used or refused; null where there is none, or nothing stands in the way. */
async function approved(
  applicant: Applicant,
  policy: Policy,
  legs: Legs,
  { stopped, step }: Hindrance,
): Promise<ApprovalUse | null> {
  const { approval } = applicant.facts;
  const isHindered = stopped !== null || (step !== null && (applicant.due === null || applicant.due > step));
  if (!approval || !isHindered) return null;
  const use = await redeemApproval(approval, { ...applicant, policy, legs });
  if (use.counts) {
    const about = { event: 'approval.used', approval: use.id, rows: use.rows };
    applicant.log.info(about, 'working under an approval');
  } else {
    applicant.log.warn({ event: 'approval.refused', approval: approval.id }, refusal(use.why));
  }
  return use;
}

const refusal = (why: string): string => `The approval does not count: ${why}.`;

/** Why the guard stops this run, or null. */
async function guarded(applicant: Applicant, policy: Policy, legs: readonly Leg[]): Promise<string | null> {
  if (!applicant.guards.massDeletion) {
    applicant.log.warn(
      { event: 'guard.off' },
      'the mass-deletion guard is switched off (LAPSE_MASS_DELETION_GUARD)',
    );
    return null;
  }
  const limit = limitOf(policy, applicant.facts);
  if (applicant.due !== null && applicant.due <= Math.min(limit.most, DUE_CAP)) return null;
  try {
    const counting = countCandidates(policy, legs, applicant.asOf, limit.most);
    const candidates = await applicant.reading.askOne(counting, COUNT);
    return candidates !== null && candidates <= limit.most
      ? null
      : `more rows would go than ${limit.because}`;
  } catch (error) {
    if (!(error instanceof DatabaseError) || error.failure !== 'timeout') throw error;
    return `it could not be counted in time whether more rows would go than ${limit.because}`;
  }
}
