/**
 * May this run begin to delete, and how much? Asked once, after the fence and before the first batch:
 * cooling-off → mass-deletion guard → rollout's step → an approval, where one of the two
 * stands in the way. Everything here can only stop a run or make it smaller.
 */
import type { Logger } from 'pino';
import { z } from 'zod';
import { DatabaseError } from '../../platform/errors';
import { maybeRow, query } from '../../platform/query';
import type { Asking } from '../../platform/session';
import type { Settings } from '../../platform/settings';
import type { Policy } from '../../policies/contract';
import { withPeriods } from '../../policies/effective';
import { countCandidates } from '../statement/count';
import { DUE_CAP } from '../statement/drained';
import { type Leg, legsOf } from '../statement/leg';
import { claim } from './approval';
import type { Facts } from './facts';
import { limitOf } from './mass';
import { rolloutMessage, stepOf } from './rollout';

/** Counting with the whole predicate may have to read many rows that stay: as long as the run's first request. */
const COUNT = { statementMs: 15_000 };
const Candidates = z.object({ candidates: z.coerce.number() });

export interface Applicant {
  readonly policy: Policy;
  readonly version: string;
  readonly runId: string;
  readonly asOf: string;
  readonly facts: Facts;
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

export async function admit(a: Applicant): Promise<Admission> {
  if (a.facts.waits_until !== null) {
    return {
      stop: {
        reason: 'cooling',
        message: `this version reaches other rows than the one before; it waits out the cooling-off until ${a.facts.waits_until}`,
      },
    };
  }
  const policy = withPeriods(a.policy, a.facts.periods);
  const legs = (asOf: string): Leg[] => legsOf(policy, new Date(asOf), a.guards.coolingOffSeconds);

  const stopped = a.guards.massDeletion ? await guarded(a, policy, legs(a.asOf)) : null;
  if (!a.guards.massDeletion) {
    a.log.warn({ event: 'guard.off' }, 'the mass-deletion guard is switched off (LAPSE_MASS_DELETION_GUARD)');
  }
  const step = a.guards.rollout && policy.rollout ? stepOf(a.facts.clean_runs) : null;
  let refused = '';
  if (a.facts.approval && (stopped !== null || (step !== null && (a.due === null || a.due > step)))) {
    const claimed = await claim(a.facts.approval, { ...a, policy, legs });
    if (claimed.use) {
      a.log.info(
        { event: 'approval.used', approval: claimed.id, rows: claimed.rows },
        'working under an approval',
      );
      const message = `the ${claimed.rows} approved rows`;
      return {
        stop: null,
        legs,
        asOf: claimed.asOf,
        limit: { rows: claimed.rows, message },
        approved: true,
      };
    }
    refused = ` The approval does not count: ${claimed.why}.`;
    a.log.warn({ event: 'approval.refused', approval: a.facts.approval.id }, refused.trim());
  }
  if (stopped !== null) {
    const message = `stopped before the first delete: ${stopped}.${refused} Look at a dry run, then approve its digest, or correct the policy`;
    return { stop: { reason: 'guarded', message } };
  }
  const limit = step === null ? null : { rows: step, message: rolloutMessage(step) };
  return { stop: null, legs, asOf: a.asOf, limit, approved: false };
}

/** Why the guard stops this run, or null. */
async function guarded(a: Applicant, policy: Policy, legs: readonly Leg[]): Promise<string | null> {
  const limit = limitOf(policy, a.facts);
  if (a.due !== null && a.due <= Math.min(limit.most, DUE_CAP)) return null;
  try {
    const counting = countCandidates(policy, legs, a.asOf, limit.most);
    const found = await a.reading.askOne(query(counting, maybeRow(Candidates)), COUNT);
    return found !== null && found.candidates <= limit.most
      ? null
      : `more rows would go than ${limit.because}`;
  } catch (error) {
    if (!(error instanceof DatabaseError) || error.failure !== 'timeout') throw error;
    return `it could not be counted in time whether more rows would go than ${limit.because}`;
  }
}
