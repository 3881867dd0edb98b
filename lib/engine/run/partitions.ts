/**
 * Before any row of a partitioned table is walked: partitions that lie wholly before the cutoff are dropped, oldest
 * first, each as a batch of its own with its number, fence and receipt. One that holds a row that must stay, or
 * would take more rows than the run may delete, is left to the walk.
 */
import type { Ending } from '../../platform/outcome';
import { hasOneCutoff, type Leg, type RuleLeg } from '../statement/leg';
import {
  type DropResult,
  mayBeDropped,
  onLeaves,
  type Partition,
  partitionName,
} from '../statement/partition';
import { isPassing } from './batches';
import { leaseLost, outOfTime } from './endings';
import type { Pass } from './under-way';
import { progress } from './work';

/** Half a lease. A partition that takes longer to count is walked. */
const DROP_MS = 15_000;

type Dropping = Omit<Pass, 'legs'>;

/** Returns the legs that are left to walk, one a partition, or why it stopped before. */
export async function dropPartitions(pass: Dropping, legs: readonly Leg[]): Promise<readonly Leg[] | Ending> {
  const { run, work, trail } = pass;
  const walk: Leg[] = [];
  for (const { leg, partition } of await onLeaves(work.policy, legs, run.session.reading)) {
    if (partition === null || !hasOneCutoff(leg) || !mayBeDropped(work.policy, partition)) {
      walk.push(leg);
      continue;
    }
    if (!run.deadline.hasTime()) return outOfTime;
    const dropped = await tried(pass, leg, partition);
    if (dropped === null) {
      walk.push(leg);
      continue;
    }
    run.tally.goesBy('partition');
    run.log.info(
      { event: 'partition.dropped', partition: partitionName(partition), records_deleted: dropped.deleted },
      progress(run.tally.deleted, work.total),
    );
    trail.leave(0, null);
    if (!(await trail.arrived())) return leaseLost;
  }
  return walk;
}

/** Returns null if something keeps it, or if it was busy or took too long to count; the row walk then handles it. */
async function tried(
  { run, work, batches, asOf }: Dropping,
  leg: RuleLeg,
  partition: Partition,
): Promise<DropResult | null> {
  const order = batches.nextDrop(asOf, {
    leg,
    partition,
    most: work.most.rows - run.tally.deleted,
    statementTimeoutMs: run.deadline.statementMs(DROP_MS),
  });
  const about = { event: 'partition.left', partition: partitionName(partition), seq: order.seq };
  try {
    const result = await batches.drop(order);
    if (result.obstacle === null) return result;
    run.log.info({ ...about, obstacle: result.obstacle }, 'a partition stays; its rows are walked');
  } catch (error) {
    if (!isPassing(error)) throw error;
    const { failure: obstacle } = error;
    run.log.warn({ ...about, obstacle }, 'a partition could not be dropped now; its rows are walked');
  }
  return null;
}
