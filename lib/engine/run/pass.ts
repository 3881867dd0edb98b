import { DatabaseError } from '../../platform/errors';
import type { Ending } from '../../platform/outcome';
import { table } from '../../platform/sql';
import { freesRows, refersToItself } from '../../policies/going';
import { leftBehind } from '../statement/drained';
import { OF_LEAVES } from '../statement/leaf-by-leaf';
import type { Leg } from '../statement/leg';
import { onLeaves } from '../statement/partition';
import type { Batches } from './batches';
import type { Cursor } from './checkpoint';
import { approvedGone, busy, drained, unproved } from './endings';
import type { Run } from './execution';
import { dropPartitions } from './partitions';
import { LOOK } from './session';
import { type Place, Sweep } from './sweep';
import { Trail } from './trail';
import type { Pass } from './under-way';
import type { Work } from './work';

interface Start {
  readonly batches: Batches;
  /** The cutoffs of the legs are counted back from here. */
  readonly asOf: string;
  /** Where an earlier run stopped in this pass. */
  readonly from: Cursor | null;
}

/** Returns how it ended; throws what no batch could help. */
export async function runPass(
  run: Run,
  work: Work,
  legs: readonly Leg[],
  { batches, asOf, from }: Start,
): Promise<Ending> {
  const trail = new Trail(run, work, asOf, from?.pass);
  const begun = { run, work, batches, trail, asOf, proved: new Set<Leg>() };
  const left = work.policy.partitioned ? await dropPartitions(begun, legs) : legs;
  if ('outcome' in left) return left;
  const pass: Pass = { ...begun, legs: left };
  const sweep = new Sweep(pass, { isFirst: true });
  return (await sweep.from(resumedAt(left, from))) ?? provedToEnd(pass, legs, sweep);
}

/** Looks whether anything is left. Rows that were locked, or moved behind the sweep, get another from the start. */
async function provedToEnd(pass: Pass, legs: readonly Leg[], swept: Sweep): Promise<Ending> {
  const { run, work, proved } = pass;
  const frees = freesRows(work.policy) || refersToItself(work.policy);
  let sweep = swept;
  for (let again = 0, before = run.tally.deleted; ; again += 1) {
    // Of a partitioned table the last look is at all of it: also at a partition added meanwhile.
    const open = work.policy.partitioned ? legs : legs.filter((leg) => !proved.has(leg));
    const isLeft = open.length > 0 && (await isAnyLeft(pass, open));
    if (isLeft === null) return unproved;
    if (!isLeft) return drained;
    if (work.most.ending === null && run.tally.deleted >= work.most.rows) return approvedGone;
    // Where a sweep frees rows that only what it took referred to, sweeps continue while they delete; others may write forever.
    if (again > 0 && !(frees && run.tally.deleted > before)) return busy;
    before = run.tally.deleted;
    run.tally.takeBack(sweep.kept);
    // Partitions may have come, and gone, meanwhile.
    const legsNow = work.policy.partitioned
      ? (await onLeaves(work.policy, legs, run.session.reading)).map((l) => l.leg)
      : pass.legs;
    sweep = new Sweep({ ...pass, legs: legsNow }, { isFirst: false });
    const ending = await sweep.from({ leg: 0, position: null });
    if (ending) return ending;
  }
}

/** Whether a row that may go is left; null when the database could not say in time. */
async function isAnyLeft({ run, work, asOf }: Pass, legs: readonly Leg[]): Promise<boolean | null> {
  const { reading } = run.session;
  try {
    return await reading.askOne(
      leftBehind(work.policy, legs, asOf),
      work.policy.partitioned ? OF_LEAVES : LOOK,
    );
  } catch (error) {
    if (error instanceof DatabaseError && error.failure === 'timeout') return null;
    throw error;
  }
}

/** Where a resumed pass continues: partitions are found by name, for those before them may be gone. */
function resumedAt(legs: readonly Leg[], from: Cursor | null): Place {
  if (from === null) return { leg: 0, position: null };
  if (!legs.some((l) => l.leaf)) return { leg: from.leg, position: from.position };
  const leg = legs.findIndex((l) => l.leaf && table(l.leaf) === from.leaf);
  return leg < 0 ? { leg: 0, position: null } : { leg, position: from.position };
}
