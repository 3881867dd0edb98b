/**
 * What a preview counted, counted again at the same cutoff: page by page with the batch's own predicate,
 * inside READ ONLY transactions. Null when the time runs out first.
 */

import type { Policy } from '../../policies/contract';
import type { Leg } from '../statement/leg';
import { onLeaves } from '../statement/partition';
import { pages, Tally } from '../statement/tally';
import type { Ask } from './poison';

export async function recount(
  read: Ask,
  policy: Policy,
  legs: readonly Leg[],
  asOf: string,
  inTime: () => boolean,
): Promise<Tally | null> {
  const tally = new Tally();
  for (const { leg } of await onLeaves(policy, legs, read)) {
    let isDone = false;
    for await (const page of pages({ policy, leg, asOf, read, inTime }, tally)) isDone = page.after.ended;
    if (!isDone) return null;
  }
  return tally;
}
