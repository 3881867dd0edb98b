/** Whether a leg is walked in lanes, and the stretches they take. */
import { refersToItself } from '../../policies/going';
import { treeOf } from '../../policies/tree';
import { borders, middle } from '../statement/divide';
import { DUE_CAP } from '../statement/drained';
import { onLeaf } from '../statement/leaf-by-leaf';
import type { Leg, Position } from '../statement/leg';
import { ALONE } from './pace';
import { LOOK } from './session';
import { type Stretch, stretch } from './stretches';
import type { Pass } from './under-way';

/** So that none is idle while the last of the others is still at work. */
const STRETCHES_A_LANE = 4;
/**
 * First batches of a stretch. With fewer it ends before batches have grown to their size, and each costs as much again. A row
 * with others below it counts as one of each table: batches of such rows are large sooner.
 */
const LEAST_BATCHES = 25;

/** In the order of the walk, and together the whole of what is ahead. */
export async function divided(pass: Pass, leg: Leg, position: Position | null): Promise<readonly Stretch[]> {
  const { run, work } = pass;
  const rows = Math.ceil(
    (LEAST_BATCHES * run.services.settings.batchSize) / treeOf(work.policy).places.length,
  );
  const most = mayDivide(pass) ? mostOf(pass, rows) : 1;
  if (most < 2 || leg.kind === 'subject') return [stretch(position, null)];
  const asked = borders(onLeaf(work.policy, leg), leg, position, { most, rows });
  const ends = await run.session.reading.askOne(asked, LOOK);
  const starts = ends.map((end) =>
    leg.kind === 'tenants' ? { tenant: end, clock: null, key: [] } : { clock: end, key: [] },
  );
  return [position, ...starts].map((at, i) => stretch(at, ends[i] ?? null));
}

/**
 * A run that may delete few rows, or those that were approved, takes the first, one after the other; one with a batch
 * size of its own is told how to go; and rows that keep one another go from their end.
 */
const mayDivide = ({ run, work: { most, policy } }: Pass): boolean =>
  most.ending !== null &&
  most.rows > 2 * mostUnderWay(run.lanes) &&
  run.request.batchSize === undefined &&
  policy.clock.in === undefined &&
  !refersToItself(policy);

/** Rows that all lanes together can be about to delete. */
export const mostUnderWay = (lanes: number): number => lanes * ALONE.mostRows;

function mostOf({ run, work: { total } }: Pass, rows: number): number {
  const most = run.lanes < 2 ? 1 : run.lanes * STRETCHES_A_LANE;
  return total === null || total > DUE_CAP ? most : Math.min(most, Math.floor(total / rows));
}

/** Where the time that a stretch has ahead is half over. Null: of tenants, of which none is divided, or of a single instant. */
export async function middleOf(
  { run, work }: Pass,
  leg: Leg,
  { at, until }: Readonly<Stretch>,
): Promise<string | null> {
  if (leg.kind !== 'rule' || at === null || work.policy.clock.in) return null;
  return run.session.reading.askOne(middle(work.policy, { ...leg, ...(until ? { until } : {}) }, at), LOOK);
}
