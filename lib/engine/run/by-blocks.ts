import { outboxFull } from '../../files/room';
import { DatabaseError } from '../../platform/errors';
import type { Ending } from '../../platform/outcome';
import type { BatchResult } from '../statement/batch';
import { DUE_CAP } from '../statement/drained';
import { type Blocks, firstDue, goesByItself, heapFacts, judgeHeap, whatIsLeft } from '../statement/heap';
import { onLeaf } from '../statement/leaf-by-leaf';
import { hasOneCutoff, type Leg, type RuleLeg } from '../statement/leg';
import type { Cursor } from './checkpoint';
import { leaseLost, outOfTime } from './endings';
import { type HeapWalkRequest, lookThrough, walkHeap } from './heap-walk';
import type { Range } from './ranges';
import { LOOK } from './session';
import type { Pass } from './under-way';
import { progress } from './work';

/** From which block to which, of which file of the table. */
interface Stretch {
  readonly from: number;
  readonly end: number;
  readonly filenode: string;
}

/**
 * A large backlog of a rule goes by the blocks of the table first. Null: done and `proved`, or not worthwhile, or
 * something is left for the index. A limited run, or one with a batch size of its own, keeps to the index.
 */
export async function byBlocks(
  pass: Pass,
  index: number,
  position: Cursor['position'],
): Promise<Ending | null> {
  const { run, legs } = pass;
  const leg = legs[index]!;
  if (!hasOneCutoff(leg) || !isLarge(pass) || !isFree(pass)) return null;
  const stretch = await stretchOf(pass, leg, position);
  if (stretch === null) return null;
  run.tally.goesBy('heap');
  try {
    return (await walked(pass, index, leg, stretch)) ?? (await proved(pass, leg, stretch.end));
  } catch (error) {
    // A row that refuses to go, or a range that takes too long: the index walk knows what to do about either.
    if (!isOfRows(error)) throw error;
    run.log.warn({ event: 'heap.left' }, 'continuing by the index');
    return null;
  }
}

const isLarge = ({ work: { total } }: Pass): boolean => total === null || total > DUE_CAP;
const isFree = ({ run, work }: Pass): boolean =>
  goesByItself(work.policy) &&
  work.most.rows === Number.POSITIVE_INFINITY &&
  run.request.batchSize === undefined;
const isOfRows = (error: unknown): boolean =>
  error instanceof DatabaseError && ['poisoned', 'timeout'].includes(error.failure);

/** What is walked: from where an earlier run stopped in the same file, or all blocks; null when it is not worthwhile. */
async function stretchOf(
  { run, work }: Pass,
  leg: RuleLeg,
  position: Cursor['position'],
): Promise<Stretch | null> {
  const asked = heapFacts(onLeaf(work.policy, leg), leg);
  const facts = judgeHeap(work.policy, await run.session.reading.ask(asked, LOOK));
  run.neighbors.saw(facts.progress, run.services.clock());
  const { end, filenode } = facts;
  if (position?.block !== undefined && position.filenode === filenode) {
    return { from: position.block, end: position.end ?? end, filenode };
  }
  return facts.worthWhile ? { from: 0, end, filenode } : null;
}

/** To the last block; null there, or why it stopped before. */
async function walked(pass: Pass, index: number, leg: RuleLeg, stretch: Stretch): Promise<Ending | null> {
  const why = await walkHeap(orderOf(pass, index, leg, stretch));
  if (why === 'lease' || !(await pass.trail.arrived())) return leaseLost;
  if (why === 'outbox') return outboxFull('interrupted');
  return why === 'time' ? outOfTime : null;
}

function orderOf(pass: Pass, index: number, leg: RuleLeg, { from, end, filenode }: Stretch): HeapWalkRequest {
  const { run, work, trail } = pass;
  return {
    from,
    end,
    lanes: run.lanes,
    send: (blocks) => send(pass, leg, blocks),
    firstDue: (range) => firstBlockDue(pass, leg, range),
    stopBefore: (slowestMs) => {
      if (run.tally.files >= work.mostFiles) return 'outbox';
      return run.deadline.hasTime(slowestMs * 1.5) ? null : 'time';
    },
    isPressed: (result) => run.neighbors.pressBy(result) !== null,
    isInCompany: () => run.neighbors.mayBeWriting,
    bounds: () => run.neighbors.bounds,
    done: async (result, low, tookMs) => {
      if (!(await trail.arrived())) return false;
      trail.leave(index, { clock: null, key: [], block: low, end, filenode }, leg);
      logBlocks(pass, result, low, tookMs);
      if (result) await run.neighbors.restAfter(result, tookMs);
      return true;
    },
  };
}

async function send({ batches, asOf }: Pass, leg: Leg, blocks: Blocks): Promise<BatchResult> {
  await batches.stillFit();
  const request = batches.next(leg, asOf, { position: null, limit: 0, blocks });
  try {
    return await batches.send(request);
  } catch (error) {
    batches.over(error, request);
    throw error;
  }
}

async function firstBlockDue({ run, work, asOf }: Pass, leg: RuleLeg, range: Range): Promise<number | null> {
  const looking = firstDue(onLeaf(work.policy, leg), leg, range, asOf);
  return run.session.reading.askOne(looking, LOOK);
}

function logBlocks({ run, work }: Pass, result: BatchResult | null, block: number, tookMs: number): void {
  run.log.info(
    {
      event: 'rows.deleted',
      path: 'heap',
      records_deleted: result?.deleted ?? 0,
      block,
      duration_seconds: Math.round(tookMs) / 1000,
    },
    progress(run.tally.deleted, work.total),
  );
}

/** The proof behind a heap walk, and the count of what stays. */
async function proved(pass: Pass, leg: RuleLeg, end: number): Promise<Ending | null> {
  const { run, work, asOf } = pass;
  const left = new Map<string | null, number>();
  const isDone = await lookThrough({
    end,
    lanes: run.lanes,
    isInCompany: () => run.neighbors.mayBeWriting,
    outOfTime: () => !run.deadline.hasTime(),
    look: async (blocks) => {
      const looking = whatIsLeft(onLeaf(work.policy, leg), leg, blocks, asOf);
      for (const { reason, n } of await run.session.reading.askOne(looking, LOOK)) {
        left.set(reason, (left.get(reason) ?? 0) + n);
      }
    },
  });
  if (!isDone) return outOfTime;
  // Locked, or moved behind the walk: the index sweep comes back for it, and counts what stays.
  if (left.has(null)) return null;
  run.tally.add({ picked: 0, kept: Object.fromEntries(left) });
  pass.proved.add(leg);
  return null;
}
