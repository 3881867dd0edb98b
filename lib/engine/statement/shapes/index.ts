/**
 * The shapes a batch can have, a file a shape. Which one is decided here, once.
 *
 * - blocks: a range of blocks, whose rows the deletion itself finds, judges and locks.
 * - index range: the next rows of the index as a range, whose rows the deletion itself finds, judges and locks.
 * - places: rows are picked, judged and locked first, in the same statement, and deleted by their place.
 * - locked: the same, but they are locked in a statement of its own, so that the deleting one sees every child that
 *   exists: a locked parent gets no new ones (DELETION §2).
 * - with contents: either of these, and what the rows refer to is locked between the two.
 * - spares: any of these, and rows that may stay for the sake of their group are settled between the two.
 * - detaches: the same, and what stays loses its reference in statements between the two.
 * - tree: the same for rows that others hang on, which are locked level by level.
 */
import { contentsOf } from '../../../policies/contents';
import { declaresTriggers, detachedDependants, goingDependants, rowsLeave } from '../../../policies/going';
import type { Batch } from '../request';
import { spared } from '../spared/judge';
import { blocks } from './blocks';
import { detaches } from './detaches';
import { indexRange } from './index-range';
import { locked } from './locked';
import { places } from './places';
import type { Shape } from './shape';
import { spares } from './spares';
import { tree } from './tree';
import { withContents } from './with-contents';

export type { Shape };

export function shapeOf(b: Batch): Shape {
  const { request, policy, strategy } = b;
  if (isTree(b)) return tree(b);
  const detached = detachedDependants(policy).length > 0;
  const isSparing = spared(b.walk).length > 0;
  const hasContents = contentsOf(policy).length > 0;
  const locksFirst = hasContents || isKeptByOthers(b) || (b.walk.locksFirst && rowsLeave(policy));
  if (detached || isSparing || locksFirst) {
    const shape = detached ? detaches(b) : locked(b);
    const settled = hasContents ? withContents(b, shape) : shape;
    return isSparing ? spares(b, settled) : settled;
  }
  if (request.blocks && !request.blocks.skipLocked && rowsLeave(policy) && strategy.archive === null)
    return blocks(b);
  const range = mayGoByRange(b) ? b.walk.range(request.position, request.limit) : null;
  return range ? indexRange(b, range) : places(b);
}

/** Another row may come that counts as its clock: only a row that is locked gets none. */
const isKeptByOthers = ({ policy, walk }: Batch): boolean =>
  walk.isExtendable && policy.clock.orLaterIn !== undefined;

/** Whether other rows go with its own. */
export const isTree = ({ policy }: Batch): boolean => goingDependants(policy).length > 0;

/**
 * Rows that a trigger keeps in silence show only against those that were locked. A batch that is limited locks its rows one
 * by one until there are enough; one that was archived, those that are as they were.
 */
const mayGoByRange = ({ request, policy, strategy }: Batch): boolean =>
  request.byRange === true &&
  request.blocks === undefined &&
  request.most === undefined &&
  strategy.stays === null &&
  strategy.archive === null &&
  !declaresTriggers(policy);
