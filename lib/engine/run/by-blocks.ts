/** A leg with a large backlog, by the blocks of the table (heap-walk.ts), and the proof that nothing of it is left. */

import { outboxFull } from '../../files/room';
import type { Row, Statement } from '../../platform/database';
import { DatabaseError } from '../../platform/errors';
import type { Ending, Kept } from '../../platform/outcome';
import { STATEMENT_TIMEOUT_MS, session } from '../../platform/session';
import type { BatchResult } from '../statement/batch';
import { DUE_CAP } from '../statement/drained';
import { type Blocks, firstDue, heapFacts, judgeHeap, whatIsLeft } from '../statement/heap';
import type { Leg } from '../statement/leg';
import { onLeaf } from '../statement/partition';
import type { Cursor } from './checkpoint';
import { leaseLost, outOfTime } from './endings';
import { lookThrough, walkHeap } from './heap-walk';
import { settle } from './settle';
import type { RunState, Sweep } from './state';

/**
 * A large backlog of a rule goes by the blocks of the table first. Null: done and `at.proved`, or not worth
 * while, or something is left for the index. A limited run, or one with a batch size of its own, keeps to the index.
 */
export async function byBlocks(
  run: RunState,
  legs: readonly Leg[],
  index: number,
  at: Sweep,
  position: Cursor['position'],
): Promise<Ending | null> {
  const leg = legs[index]!;
  const large = run.total === null || run.total > DUE_CAP;
  const free = run.cap.rows === Number.POSITIVE_INFINITY && run.request.batchSize === undefined;
  if (leg.kind !== 'rule' || !large || !free) return null;
  const facts = judgeHeap(run.policy, await read(run, heapFacts(onLeaf(run.policy, leg), leg)));
  run.company.saw(facts.next, performance.now());
  const resumed = position?.block !== undefined && position.filenode === facts.filenode ? position : null;
  if (!resumed && !facts.worthWhile) return null;
  const end = resumed?.end ?? facts.end;
  run.path = 'heap';
  let saving: Promise<boolean> = Promise.resolve(true);
  const poisoned = (error: unknown) =>
    error instanceof DatabaseError && ['poisoned', 'timeout'].includes(error.failure);
  try {
    const why = await walkHeap({
      from: resumed?.block ?? 0,
      end,
      lanes: run.services.settings.lanes,
      send: (blocks) => send(run, leg, at.asOf, blocks),
      firstDue: async (range) => {
        const rows = await read(run, [firstDue(onLeaf(run.effective, leg), leg, range, at.asOf)]);
        const block = rows.at(-1)?.[0]?.block ?? null;
        return block === null ? null : Number(block);
      },
      stopBefore: (slowest) => (run.filesRoom <= 0 ? 'outbox' : run.hasTime(slowest * 1.5) ? null : 'time'),
      isPressed: (result) => run.pressedBy(result) !== null,
      isInCompany: () => run.isInCompany,
      done: async (result, low, took) => {
        if (!(await saving)) return false;
        const here = { clock: null, key: [], block: low, end, filenode: facts.filenode };
        saving = run.save(at, index, here, leg);
        saving.catch(() => undefined);
        run.log.info(
          {
            event: 'rows.deleted',
            path: 'heap',
            records_deleted: result?.deleted ?? 0,
            block: low,
            duration_seconds: Math.round(took) / 1000,
          },
          `Processed ${run.deleted}/${run.totalText()}`,
        );
        if (result) await run.rest(result, took);
        return true;
      },
    });
    if (why === 'lease' || !(await saving)) return leaseLost;
    if (why === 'outbox') return outboxFull('interrupted');
    if (why === 'time') return outOfTime;
    return await proved(run, leg, end, at);
  } catch (error) {
    // A row that refuses to go, or a range that takes too long: the index walk knows what to do about either.
    if (!poisoned(error)) throw error;
    run.log.warn({ event: 'heap.left' }, 'going on by the index');
    return null;
  }
}

/** The proof behind a heap walk, and the count of what stays. */
async function proved(
  run: RunState,
  leg: Leg & { kind: 'rule' },
  end: number,
  at: Sweep,
): Promise<Ending | null> {
  const left = new Map<string | null, number>();
  const isDone = await lookThrough({
    end,
    lanes: run.services.settings.lanes,
    isInCompany: () => run.isInCompany,
    outOfTime: () => !run.hasTime(),
    look: async (blocks) => {
      const rows = await read(run, [whatIsLeft(onLeaf(run.effective, leg), leg, blocks, at.asOf)]);
      for (const row of rows.at(-1) ?? []) {
        const reason = row.reason === null ? null : String(row.reason);
        left.set(reason, (left.get(reason) ?? 0) + Number(row.n));
      }
    },
  });
  if (!isDone) return outOfTime;
  // Locked, or moved behind the walk: the index sweep comes back for it, and counts what stays.
  if (left.has(null)) return null;
  for (const [reason, n] of left) run.kept[reason as keyof Kept] += n;
  at.proved.add(leg);
  return null;
}

/** One batch of a heap walk. */
async function send(run: RunState, leg: Leg, asOf: string, blocks: Blocks): Promise<BatchResult> {
  await run.fitness.look();
  const seq = run.seqs.take();
  const order = { ...run.order(leg, asOf, seq), position: null, limit: 0, blocks };
  try {
    const result = await settle(run.database, order, run.services.backoff, () => run.hasTime());
    run.count(result, seq);
    return result;
  } catch (error) {
    // An unknown batch keeps its number: its receipt may still appear.
    if (!(error instanceof DatabaseError && error.failure === 'unknown')) run.seqs.giveBack(seq);
    await run.fitness.lookAfter(error);
    throw error;
  }
}

/** Answers to `statements`, without the session's. */
async function read(run: RunState, statements: readonly Statement[]): Promise<Row[][]> {
  const rows = await run.ask([session(STATEMENT_TIMEOUT_MS), ...statements], STATEMENT_TIMEOUT_MS, true);
  return rows.slice(1);
}
