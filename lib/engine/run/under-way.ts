/** One pass under way: what its parts share. */
import type { Leg } from '../statement/leg';
import type { Batches } from './batches';
import type { Run } from './execution';
import type { Trail } from './trail';
import type { Work } from './work';

export interface Pass {
  readonly run: Run;
  readonly work: Work;
  readonly batches: Batches;
  readonly trail: Trail;
  /** The cutoffs of the legs are counted back from here. */
  readonly asOf: string;
  /** What is walked, in this order. */
  readonly legs: readonly Leg[];
  /** Legs of which a look through all blocks found nothing that may go: no sweep, no further proof. */
  readonly proved: Set<Leg>;
}
