/** A leg with a large backlog, by the blocks of the table (heap-walk.ts), and the proof that nothing of it is left. */

import { z } from 'zod';
import { outboxFull } from '../../files/room';
import { DatabaseError } from '../../platform/errors';
import { type Ending, KEPT_REASONS, type Kept } from '../../platform/outcome';
import { oneRow, query, rows } from '../../platform/query';
import type { BatchResult } from '../statement/batch';
import { DUE_CAP } from '../statement/drained';
import { type Blocks, firstDue, heapFacts, judgeHeap, whatIsLeft } from '../statement/heap';
import type { Leg } from '../statement/leg';
import { onLeaf } from '../statement/partition';
import type { Cursor } from './checkpoint';
import { leaseLost, outOfTime } from './endings';
import { lookThrough, walkHeap } from './heap-walk';
import { settle } from './settle';
import { LOOK, type RunState, type Sweep } from './state';

const FirstDue = z.object({ block: z.coerce.number().nullable() });
const Left = z.object({ reason: z.enum(KEPT_REASONS).nullable(), n: z.coerce.number() });

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
  const facts = judgeHeap(run.policy, await run.reading.ask(heapFacts(onLeaf(run.policy, leg), leg), LOOK));
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
        const looking = firstDue(onLeaf(run.policy, leg), leg, range, at.asOf);
        return (await run.reading.askOne(query(looking, oneRow(FirstDue)), LOOK)).block;
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
  const left = new Map<keyof Kept | null, number>();
  const isDone = await lookThrough({
    end,
    lanes: run.services.settings.lanes,
    isInCompany: () => run.isInCompany,
    outOfTime: () => !run.hasTime(),
    look: async (blocks) => {
      const looking = whatIsLeft(onLeaf(run.policy, leg), leg, blocks, at.asOf);
      for (const { reason, n } of await run.reading.askOne(query(looking, rows(Left)), LOOK)) {
        left.set(reason, (left.get(reason) ?? 0) + n);
      }
    },
  });
  if (!isDone) return outOfTime;
  // Locked, or moved behind the walk: the index sweep comes back for it, and counts what stays.
  if (left.has(null)) return null;
  for (const [reason, n] of left) if (reason !== null) run.kept[reason] += n;
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
