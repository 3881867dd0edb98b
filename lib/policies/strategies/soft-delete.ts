/**
 * The row is marked as deleted and stays, with its files and dependants, until the purge takes it for good (purge.ts). Within its
 * grace period it can be restored.
 */
import { z } from 'zod';
import { clockColumns } from '../clocks';
import { periodInWords, Waiting } from '../period';
import { identifier, MARKED_NOW, unfitMark } from './column';
import type { Strategy } from './strategy';

export const SoftDelete = z.object({
  kind: z.literal('soft-delete'),
  column: identifier,
  purgeAfter: Waiting,
  /** `go`: dependants with fate `delete` are deleted when the row is marked, and do not come back; else its purge takes them. */
  dependants: z.literal('go').optional(),
});
type SoftDelete = z.infer<typeof SoftDelete>;

export const softDelete = (declared: SoftDelete): Strategy<SoftDelete> => {
  const { column, purgeAfter, dependants } = declared;
  const goes = dependants === 'go';
  return {
    stays: {
      takesAlong: goes,
      mark: column,
      changes: [{ column, to: MARKED_NOW }],
      settings: [],
      marked: (since) =>
        `it was marked as deleted at ${since}; its purge takes it when the grace period is over`,
    },
    reach: goes ? { kind: declared.kind, dependants } : declared.kind,
    action: 'soft_delete',
    grace: { mark: column, period: purgeAfter },
    archive: null,
    words: {
      noun: 'a soft delete',
      behindRule: goes
        ? ' (marked first, purged later; what belongs to it goes at once)'
        : ' (marked first, purged later)',
      end: `marked as deleted; gone ${periodInWords(purgeAfter)} later`,
      happens: () => 'is marked as deleted. Until it is purged, it can be restored',
    },
    periods: [purgeAfter],
    withPeriods: (replace) => ({ ...declared, purgeAfter: replace(purgeAfter) }),
    configured: () => declared,
    problems: ({ clock }) =>
      clockColumns(clock).includes(column)
        ? ['strategy.column: the clock cannot be the column that marks a row as deleted']
        : [],
    unfit: (table) => unfitMark(table, 'strategy.column', column),
  };
};
