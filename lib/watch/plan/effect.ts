/**
 * What a change of one policy does: the rows that only the branch may delete and those that only production may, now and
 * some days ahead; and of the first, what stays for now and why.
 */

import { type AdmissionFacts, admissionFacts } from '../../engine/guard/facts';
import { limitOf } from '../../engine/guard/mass';
import { STEPS } from '../../engine/guard/rollout';
import { countCandidates } from '../../engine/statement/count';
import { atRoots } from '../../engine/statement/leaves';
import { legsOf } from '../../engine/statement/leg';
import type { Database } from '../../platform/database';
import { DatabaseError, LapseError } from '../../platform/errors';
import type { Settings } from '../../platform/settings';
import type { Policy } from '../../policies/contract';
import { policyReach, withPeriods } from '../../policies/effective';
import { versionOf } from '../../policies/fingerprint';
import { countAhead, endOf } from './ahead';
import { type Counting, type Counts, countExcept } from './except';

/** Counting with the whole predicate may have to read many rows that stay: as long as a run allows. */
const LIMITS = { statementMs: 15_000 };

/** Today, and within some days: what goes earlier than it would. */
export interface Moments {
  readonly now: Counts;
  /** Within those days; those of now are among them. */
  readonly ahead: Counts;
  /** Of those, what the other would still have at their end. */
  readonly beyond: Counts;
}

export interface Effect {
  /** Only the branch may delete these; null for a policy that is gone. */
  readonly becomes: Moments | null;
  /** Only production may: they stay with the branch. Null where nothing is known of production. */
  readonly spared: Moments | null;
  /** What keeps rows of `becomes` for now. */
  readonly stays: Stays | null;
}

export interface Stays {
  /** Rows that wait: the change is not in force for them yet. */
  readonly coolingOff: number;
  readonly coolingDays: number;
  /** Why the guard would stop the first run before its first delete; null when it would not. */
  readonly guard: string | null;
  /** Rows that its first clean runs may delete; null without the rollout. */
  readonly steps: readonly number[] | null;
}

export interface Change extends Counting {
  readonly database: Database;
  readonly guards: Settings['guards'];
  readonly now: Date;
  readonly days: number;
  /** The login has rights that nothing from a record may use. */
  readonly isOwner: boolean;
  readonly before: Policy | null;
  readonly branch: Policy | null;
}

export async function effectOf(change: Change): Promise<Effect> {
  refuseForeignSql(change);
  const [before, branch] = await atItsRoots(change);
  const becomes = branch && (await moments(change, branch, before));
  const spared = before && (await moments(change, before, branch));
  const stays =
    becomes && change.branch && branch ? await staysOf(change, branch, before, becomes.now) : null;
  return { becomes, spared, stays };
}

/** A role that may write a record could make the owner run it. */
function refuseForeignSql({ before, branch, isOwner }: Change): void {
  if (!before || !isOwner || (branch && policyReach(before) === policyReach(branch))) return;
  throw new LapseError(
    'plan.owner',
    'this login has the rights of the owner of schema retention, with which no SQL from a record is run: connect as DATABASE_URL does, with a login of lapse_app',
  );
}

/** With dependants that are partitions replaced by their tables, as a run has them. */
async function atItsRoots({ database, before, branch }: Change): Promise<[Policy | null, Policy | null]> {
  const there = [before, branch].filter((p) => p !== null);
  const rooted = await atRoots(database, there);
  return [before && (rooted[0] ?? null), branch && (rooted[there.length - 1] ?? null)];
}

async function moments(change: Change, policy: Policy, other: Policy | null): Promise<Moments> {
  const now = await countExcept(policy, other, change.now, change);
  const ahead = await countAhead(policy, other, change, change);
  const beyond = other === null ? ahead : await countExcept(policy, other, endOf(change), change);
  return { now, ahead, beyond };
}

async function staysOf(
  change: Change,
  branch: Policy,
  before: Policy | null,
  becomes: Counts,
): Promise<Stays> {
  const { guards, now, reading } = change;
  const declared = change.branch ?? branch;
  const asked = admissionFacts(declared, versionOf(declared), now, guards.coolingOffSeconds);
  const facts = await reading.askOne(asked, LIMITS);
  return {
    coolingOff: await cooling(change, branch, before, becomes, facts),
    coolingDays: guards.coolingOffSeconds / 86_400,
    guard: guards.massDeletion ? await guardOn(change, branch, facts) : null,
    steps: guards.rollout && branch.rollout ? STEPS : null,
  };
}

/** Rows that a run right after the merge would leave: periods of other versions still count, or all of it waits. */
async function cooling(
  change: Change,
  branch: Policy,
  before: Policy | null,
  becomes: Counts,
  facts: AdmissionFacts,
) {
  if (facts.waits_until !== null) return becomes.rows;
  const shorter = branch.rules.some((r) => (facts.periods[r.label] ?? null) !== r.keepFor.seconds);
  if (!shorter) return 0;
  const now = await countExcept(withPeriods(branch, facts.periods), before, change.now, change);
  return becomes.rows - now.rows;
}

/** As the run would ask, once nothing is cooling off any more. */
async function guardOn(
  { reading, now, guards }: Change,
  branch: Policy,
  facts: AdmissionFacts,
): Promise<string | null> {
  const limit = limitOf(branch, facts);
  const legs = legsOf(branch, now, guards.coolingOffSeconds);
  const counting = countCandidates(branch, legs, now.toISOString(), limit.most);
  try {
    const candidates = await reading.askOne(counting, LIMITS);
    return candidates === null || candidates > limit.most ? `more rows would go than ${limit.because}` : null;
  } catch (error) {
    if (!(error instanceof DatabaseError) || error.failure !== 'timeout') throw error;
    return `it could not be counted in time whether more rows would go than ${limit.because}`;
  }
}
