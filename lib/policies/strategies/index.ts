/** The strategies there are, and the one place that asks which one a policy has. */
import { z } from 'zod';
import { Archive, archive } from './archive';
import { Delete, deleteRow } from './delete';
import { ErasureMask, erasureMask } from './erasure-mask';
import { Mask, mask } from './mask';
import { SoftDelete, softDelete } from './soft-delete';
import type { Strategy as Of } from './strategy';

export const StrategySchema = z.discriminatedUnion('kind', [Delete, SoftDelete, Mask, Archive, ErasureMask]);
export type DeclaredStrategy = z.infer<typeof StrategySchema>;
export type Strategy = Of<DeclaredStrategy>;

/** For good, whatever a policy declares: an erasure. */
export const FOR_GOOD: DeclaredStrategy = { kind: 'delete' };

export function strategyOf({ strategy }: { readonly strategy: DeclaredStrategy }): Strategy {
  switch (strategy.kind) {
    case 'delete':
      return deleteRow(strategy);
    case 'soft-delete':
      return softDelete(strategy);
    case 'mask':
      return mask(strategy);
    case 'archive':
      return archive(strategy);
    case 'erasure-mask':
      return erasureMask(strategy);
  }
}
