/**
 * What a preview counted, counted again at the same cutoff: page by page with the batch's own predicate,
 * inside READ ONLY transactions. Null when the time runs out first.
 */

import type { Asking } from '../../platform/session';
import type { Policy } from '../../policies/contract';
import type { Leg } from '../statement/leg';
import { onLeaves } from '../statement/partition';
import { pages, Tally } from '../statement/tally';

export async function recount(
  reading: Asking,
  policy: Policy,
  legs: readonly Leg[],
  asOf: string,
  inTime: () => boolean,
): Promise<Tally | null> {
  const tally = new Tally();
  for (const { leg } of await onLeaves(policy, legs, reading)) {
    let isDone = false;
    for await (const page of pages({ policy, leg, asOf, reading, inTime }, tally)) isDone = page.after.ended;
    if (!isDone) return null;
  }
  return tally;
}
