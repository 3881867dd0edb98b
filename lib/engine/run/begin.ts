import { DatabaseError, type Problem } from '../../platform/errors';
import type { Answers } from '../../platform/query';
import type { Queries } from '../../platform/session';
import { permanentTables } from '../../policies';
import type { Policy } from '../../policies/contract';
import { type AdmissionFacts, admissionFacts, declareVersion } from '../guard/facts';
import { countDue } from '../statement/drained';
import { observeLabels } from '../statement/labels';
import { rootsOf, withRoots } from '../statement/leaves';
import { legsOf } from '../statement/leg';
import { type Check, catalogFacts, judgeFacts, judgeStore } from '../statement/preflight';
import { drained } from './endings';
import type { Run } from './execution';
import { BEGIN, beginRun, endIfIdle } from './record';

/** May delete, if nothing is wrong with the database. */
export interface Opened {
  readonly refused: null;
  /** What is deleted from: a dependant that is a partition stands as its table. */
  readonly policy: Policy;
  readonly fence: string;
  /** The instant to count back from, never later than the database's own clock. */
  readonly asOf: string;
  readonly problems: readonly Problem[];
}
/** Stopped or paused: nothing was changed. */
export interface Refused {
  readonly refused: 'paused' | 'stopped';
}

interface Asked<Q extends Queries> {
  /** What is deleted from, as declared. */
  readonly policy: Policy;
  /** The preflight's; all of them unless given. */
  readonly checks?: readonly Check[];
  /** Asked with it, in this order. */
  readonly more: Q;
}

/** Opens a run with what every run asks, and reads it. */
export async function open<const Q extends Queries>(
  run: Run,
  { policy, checks, more }: Asked<Q>,
): Promise<{ opened: Opened | Refused; answers: Answers<Q> }> {
  const first = {
    begun: beginRun(run.start),
    catalog: catalogFacts(policy),
    roots: rootsOf(policy) ?? undefined,
  };
  const sentAt = run.services.clock();
  const asked = await run.session.ask({ ...first, ...more }, BEGIN);
  const answers = asked as Answers<typeof first> & Answers<Q>;
  const { begun, catalog, roots: found = [] } = answers;
  if (begun.refused) return { opened: { refused: begun.refused }, answers };
  run.recorded('open');
  run.runsOn(begun.server);
  run.neighbors.saw(begun.progress, sentAt);
  run.neighbors.wrote();
  const rooted = withRoots(policy, found);
  // Of a partition that a dependant is, the catalog is asked again as of its table.
  const facts = rooted === policy ? catalog : await run.session.reading.askOne(catalogFacts(rooted), BEGIN);
  const problems = [
    ...judgeFacts(rooted, facts, permanentTables, checks),
    ...judgeStore(rooted, run.services.blob !== undefined),
  ];
  const asOf = begun.as_of ?? run.startedAt.toISOString();
  const opened = { refused: null, policy: rooted, fence: begun.fence ?? '0', asOf, problems };
  return { opened, answers };
}

/** What a policy's own run knows then. */
export interface Begun extends Opened {
  readonly facts: AdmissionFacts;
  /** Rows before their cutoffs, up to DUE_CAP + 1; null where that could not be counted. */
  readonly total: number | null;
}

/** Begins a policy's own run. */
export async function begin(run: Run): Promise<Begun | Refused> {
  const { policy, version, startedAt, services, request } = run;
  const cooling = services.settings.guards.coolingOffSeconds;
  const by = `${request.actor} (${services.settings.release ?? 'unreleased'})`;
  const admitting = {
    declared: declareVersion(policy, version, run.id, by),
    facts: admissionFacts(policy, version, startedAt, cooling),
  };
  // With the declared periods: those that count now are never shorter, so "nothing is due" stays true.
  const legs = legsOf(policy, startedAt, cooling);
  const [observed] = observeLabels(policy, cooling);
  const looking = {
    observed,
    due: countDue(policy, legs, startedAt.toISOString()),
    idle: endIfIdle(run.end(drained, startedAt), version),
  };
  const { opened, answers } = await open(run, { policy, more: { ...admitting, ...looking } }).catch(
    async (error: unknown) => {
      if (!isUnfit(error)) throw error;
      const without = await open(run, { policy, more: admitting });
      return { ...without, answers: { ...without.answers, due: null, idle: null } };
    },
  );
  if (opened.refused) return opened;
  const { facts, due, idle } = answers;
  if (idle?.ended && opened.problems.length === 0) run.recorded('ended');
  return { ...opened, facts, total: due ?? null };
}

/** A missing table, column or index, or a value no column holds, fails the count: preflight says which. */
const isUnfit = (error: unknown): boolean =>
  error instanceof DatabaseError && (/^(22|42)/.test(error.sqlState ?? '') || error.failure === 'timeout');
