/**
 * Before any row of a partitioned table is walked: partitions that lie wholly before the cutoff are dropped, oldest
 * first, each as a batch of its own with its number, fence and receipt. One that holds a row that must stay, or
 * would take more rows than the run may delete, is left to the walk.
 */
import type { Logger } from 'pino';
import type { Backoff } from '../../platform/context';
import type { Database } from '../../platform/database';
import { DatabaseError } from '../../platform/errors';
import type { Asking } from '../../platform/session';
import type { Policy } from '../../policies/contract';
import type { Leg } from '../statement/leg';
import {
  type DropOrder,
  type DropResult,
  drop,
  mayBeDropped,
  onLeaves,
  type Partition,
  partitionName,
} from '../statement/partition';
import type { Sequence } from './seqs';
import { settleAs } from './settle';

/** Half a lease. A partition that takes longer to count is walked. */
const DROP_MS = 15_000;

export interface Dropping {
  readonly policy: Policy;
  readonly legs: readonly Leg[];
  readonly database: Database;
  readonly backoff: Backoff;
  readonly seqs: Sequence;
  readonly log: Logger;
  readonly reading: Asking;
  readonly order: (leg: Leg, seq: number) => Omit<DropOrder, 'policy' | 'leg' | 'partition' | 'most'>;
  /** Rows this run may still delete. */
  readonly room: () => number;
  readonly remainingMs: () => number;
  /** After each drop. False: stop, the lease is lost. */
  readonly done: (result: DropResult, partition: Partition) => Promise<boolean>;
}

/** Gives the legs that are left to walk, one a partition, or why it stopped before. */
export async function dropPartitions(d: Dropping): Promise<{ stopped: 'time' | 'lease' } | { legs: Leg[] }> {
  const walk: Leg[] = [];
  for (const { leg, partition } of await onLeaves(d.policy, d.legs, d.reading)) {
    const whole = partition !== null && leg.kind === 'rule' && mayBeDropped(d.policy, partition);
    if (whole && d.remainingMs() <= 0) return { stopped: 'time' };
    const result = whole ? await tried(d, leg, partition) : null;
    if (result === null || result.obstacle !== null) walk.push(leg);
    else if (!(await d.done(result, partition!))) return { stopped: 'lease' };
  }
  return { legs: walk };
}

/** Null: it was busy, or took too long to count; the walk comes for its rows. */
async function tried(
  d: Dropping,
  leg: Leg & { kind: 'rule' },
  partition: Partition,
): Promise<DropResult | null> {
  const seq = d.seqs.take();
  const statementTimeoutMs = Math.min(DROP_MS, Math.max(500, d.remainingMs()));
  const order = {
    ...d.order(leg, seq),
    policy: d.policy,
    leg,
    partition,
    most: d.room(),
    statementTimeoutMs,
  };
  const about = { event: 'partition.left', partition: partitionName(partition), seq };
  try {
    const result = await settleAs(d.database, order, drop(order), d.backoff, () => d.remainingMs() > 0);
    if (result.obstacle !== null) {
      d.seqs.giveBack(seq);
      d.log.info({ ...about, obstacle: result.obstacle }, 'a partition stays; its rows are walked');
    }
    return result;
  } catch (error) {
    const passing = error instanceof DatabaseError && ['busy', 'timeout'].includes(error.failure);
    if (!passing) throw error;
    d.seqs.giveBack(seq);
    d.log.warn(
      { ...about, obstacle: error.failure },
      'a partition could not be dropped now; its rows are walked',
    );
    return null;
  }
}
