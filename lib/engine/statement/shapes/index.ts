/**
 * The shapes a batch can have, a file a shape. Which one is decided here, once.
 *
 * - blocks: a range of blocks, whose rows the deletion itself finds, judges and locks.
 * - places: rows are picked, judged and locked first, in the same statement, and deleted by their place.
 * - locked: the same, but they are locked in a statement of its own, so that the deleting one sees every child that
 *   exists: a locked parent gets no new ones (DELETION §2).
 */
import { goingDependants, rowsLeave } from '../../../policies/going';
import type { Batch } from '../request';
import { blocks } from './blocks';
import { locked } from './locked';
import { places } from './places';
import type { Shape } from './shape';

export type { Shape };

export function shapeOf(b: Batch): Shape {
  const { request, policy } = b;
  if (goingDependants(policy).length > 0) return locked(b);
  return request.blocks && !request.blocks.skipLocked && rowsLeave(policy) ? blocks(b) : places(b);
}
