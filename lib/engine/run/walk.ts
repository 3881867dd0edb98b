/**
 * One pass over a policy: partitions that may go whole, then leg after leg to the end, then the proof that nothing
 * is left. A checkpoint follows every batch, so that another run goes on from there.
 */
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { outboxFull } from '../../files/room';
import { DatabaseError } from '../../platform/errors';
import type { Ending } from '../../platform/outcome';
import { oneRow, query } from '../../platform/query';
import { table } from '../../platform/sql';
import type { Policy } from '../../policies/contract';
import { afterFailure } from '../guard/poison';
import type { BatchOrder, BatchResult } from '../statement/batch';
import { leftBehind } from '../statement/drained';
import { count } from '../statement/found';
import { type Leg, legsOf } from '../statement/leg';
import { partitionName } from '../statement/partition';
import { byBlocks } from './by-blocks';
import type { Cursor } from './checkpoint';
import { approvedGone, busy, drained, leaseLost, outOfTime, unproved } from './endings';
import { startPace, TARGET_IN_COMPANY_MS, TARGET_MS } from './pace';
import { dropPartitions } from './partitions';
import { settle } from './settle';
import type { RunState, Sweep } from './state';
import { LOOK } from './state';

/** With the cutoffs of `asOf`, from where an earlier run stopped in it. Gives how it ended; throws what no batch could help. */
export async function walkThrough(run: RunState, asOf: string, from: Cursor | null): Promise<Ending> {
  const legs = legsOf(run.effective, new Date(asOf), run.services.settings.guards.coolingOffSeconds);
  const pass = from?.pass ?? randomUUID();
  const proved = new Set<Leg>();
  const walked = run.policy.partitioned ? await whole(run, legs, pass, asOf) : legs;
  if ('outcome' in walked) return walked;
  const start = resumedAt(walked, from);
  const stopped = await sweep(run, walked, { pass, asOf, ...start, heap: true, proved });
  if (stopped) return stopped;
  for (let again = 0, before = run.deleted; ; again += 1) {
    // Of a partitioned table the last look is at all of it: also at a partition that came meanwhile.
    const open = run.policy.partitioned ? legs : legs.filter((leg) => !proved.has(leg));
    const isLeft = open.length > 0 && (await isAnyLeft(run, open, asOf));
    if (isLeft === null) return unproved;
    if (!isLeft) return drained;
    if (run.cap.ending === null && run.deleted >= run.cap.rows) return approvedGone;
    if (again > 0 && !(refersToItself(run.policy) && run.deleted > before)) return busy;
    before = run.deleted;
    // Rows that were locked, or moved behind the walk: once more from the start.
    const ending = await sweep(run, walked, { pass, asOf, leg: 0, position: null, heap: false, proved });
    if (ending) return ending;
  }
}

/** Each sweep frees the rows that only those gone by it referred to, so sweeps go on while they delete. */
const refersToItself = (policy: Policy): boolean =>
  policy.dependants.some((d) => d.fate === 'block' && table(d.table) === table(policy.table));

/** Drops what may go whole; gives the legs that are left, one a partition, or why it stopped. */
async function whole(
  run: RunState,
  legs: readonly Leg[],
  pass: string,
  asOf: string,
): Promise<readonly Leg[] | Ending> {
  const left = await dropPartitions({
    reading: run.reading,
    policy: run.policy,
    legs,
    database: run.database,
    backoff: run.services.backoff,
    seqs: run.seqs,
    log: run.log,
    order: (leg, seq) => run.order(leg, asOf, seq),
    room: () => run.cap.rows - run.deleted,
    remainingMs: () => run.remaining() - run.closingMs,
    done: async (result, partition) => {
      run.path = 'partition';
      run.batches += 1;
      run.picked += result.picked;
      run.deleted += result.deleted;
      run.log.info(
        {
          event: 'partition.dropped',
          partition: partitionName(partition),
          records_deleted: result.deleted,
        },
        `Processed ${run.deleted}/${run.totalText()}`,
      );
      return run.save({ pass, asOf }, 0, null);
    },
  });
  if ('legs' in left) return left.legs;
  return left.stopped === 'time' ? outOfTime : leaseLost;
}

/** Walks the legs from a position. Gives null at the end, or why it stopped before. */
async function sweep(run: RunState, legs: readonly Leg[], at: Sweep): Promise<Ending | null> {
  const pace = startPace(
    run.request.batchSize ?? run.services.settings.batchSize,
    run.request.batchSize !== undefined,
  );
  let slowest = 0;
  let saving: Promise<boolean> | null = null;
  const saved = async (): Promise<boolean> => (saving === null ? true : saving);
  let { leg: index, position } = at;
  while (index < legs.length) {
    if (at.proved.has(legs[index]!)) {
      index += 1;
      position = null;
      continue;
    }
    if (at.heap && (position === null || position.block !== undefined)) {
      if (!(await saved())) return leaseLost;
      const stopped = await byBlocks(run, legs, index, at, position);
      if (stopped) return stopped;
      position = null;
      if (at.proved.has(legs[index]!)) continue;
    }
    const room = run.cap.rows - run.deleted;
    if (room <= 0 && !(await saved())) return leaseLost;
    if (room <= 0) return run.cap.ending ?? lookOn(run, legs, index, at.asOf, position);
    if (run.filesRoom <= 0) return (await saved()) ? outboxFull('interrupted') : leaseLost;
    if (!run.hasTime(slowest * 1.5)) return (await saved()) ? outOfTime : leaseLost;
    const limit = pace.size;
    await run.fitness.look();
    const seq = run.seqs.take();
    const began = performance.now();
    const order: BatchOrder = {
      ...run.order(legs[index]!, at.asOf, seq),
      position,
      limit,
      // What is limited is what goes, not what is looked at: rows that stay would make a step of ten thousand batches.
      ...(room < limit ? { most: room } : {}),
    };
    let result: BatchResult;
    try {
      result = await settle(run.database, order, run.services.backoff, () => run.hasTime());
    } catch (error) {
      await saved().catch(() => false);
      run.seqs.giveBack(seq);
      await run.fitness.lookAfter(error);
      const advice = await afterFailure(run.session, order, error, run.log);
      if (advice === 'no') throw error;
      if (advice === 'fewer') pace.tooMuch();
      continue;
    }
    const took = performance.now() - began;
    slowest = Math.max(slowest, took);
    if (run.pressedBy(result)) pace.giveWay();
    else if (result.picked >= limit)
      pace.took(result.statement_ms ?? took, run.isInCompany ? TARGET_IN_COMPANY_MS : TARGET_MS);
    run.count(result, seq);
    ({ position, index } = next(result, index));
    // The checkpoint travels while the next batch runs; its answer is read before the one after.
    if (!(await saved())) return leaseLost;
    saving = run.save(at, index, position, legs[index]);
    saving.catch(() => undefined);
    run.log.info(
      {
        event: 'rows.deleted',
        records_deleted: result.deleted,
        seq,
        batch_size: limit,
        duration_seconds: Math.round(took) / 1000,
      },
      `Processed ${run.deleted}/${run.totalText()}`,
    );
    await run.rest(result, took);
  }
  return (await saved()) ? null : leaseLost;
}

/** After the last approved row nothing goes any more; what stays is still counted, as in the dry run. */
async function lookOn(
  run: RunState,
  legs: readonly Leg[],
  from: number,
  asOf: string,
  position: Cursor['position'],
): Promise<Ending | null> {
  const found = await count({
    policy: run.policy,
    legs: legs.slice(from),
    from: (leg) => (leg === legs[from] ? position : null),
    asOf,
    reading: run.reading,
    inTime: () => run.hasTime(),
  });
  if (!found.complete) return outOfTime;
  run.keptToo(found);
  return null;
}

/** Whether a row that may go is left; null when the database could not say in time. */
async function isAnyLeft(run: RunState, legs: readonly Leg[], asOf: string): Promise<boolean | null> {
  try {
    const looking = query(leftBehind(run.policy, legs, asOf), oneRow(z.object({ left: z.boolean() })));
    const { left } = await run.reading.askOne(looking, LOOK);
    return left;
  } catch (error) {
    if (error instanceof DatabaseError && error.failure === 'timeout') return null;
    throw error;
  }
}

/** Where a resumed pass goes on: partitions are found by name, for those before them may be gone. */
function resumedAt(legs: readonly Leg[], from: Cursor | null): Pick<Sweep, 'leg' | 'position'> {
  if (from === null) return { leg: 0, position: null };
  if (!legs.some((l) => l.leaf)) return { leg: from.leg, position: from.position };
  const leg = legs.findIndex((l) => l.leaf && table(l.leaf) === from.leaf);
  return leg < 0 ? { leg: 0, position: null } : { leg, position: from.position };
}

function next(
  result: { after: { ended: boolean; tenant?: string | undefined; clock: string | null; key: string[] } },
  index: number,
): { index: number; position: Cursor['position'] } {
  const { ended, ...position } = result.after;
  return ended ? { index: index + 1, position: null } : { index, position };
}
