/**
 * The row leaves its table as by a deletion, but first it is written, with all that goes with it, into a private archive and
 * read back (lib/engine/archive). From there it can be restored until the archive's own period is over.
 */
import { z } from 'zod';
import { periodInWords, Waiting } from '../period';
import type { Declared, Strategy } from './strategy';

export const Archive = z.object({
  kind: z.literal('archive'),
  /** How long the archive is kept, counted from the deletion. */
  keepFor: Waiting,
  /**
   * `move`: files that go with the row are in the archive before they are deleted. `copy`: also those that stay.
   * `none`: rows only; their files go for good.
   */
  files: z.enum(['move', 'copy', 'none']).default('move'),
  /** The share of erased rows from which an archive is written anew without them; at the latest after two weeks. */
  rewriteAt: z.number().min(0).max(1).default(0),
  /** `none`: no row of it belongs to an organization or a person. */
  subjects: z.literal('none').optional(),
});
type Archive = z.infer<typeof Archive>;

export const archive = (declared: Archive): Strategy<Archive> => {
  const { keepFor, files, rewriteAt } = declared;
  const kept = periodInWords(keepFor);
  return {
    stays: null,
    reach: { kind: declared.kind, files, keepSeconds: keepFor.seconds },
    action: 'delete',
    grace: null,
    archive: { keepSeconds: keepFor.seconds, files, rewriteAt },
    words: {
      noun: 'an archive',
      behindRule: ` (archived first, the archive is kept ${kept})`,
      end: `deleted; its archive is kept ${kept}`,
      happens: (how) =>
        `is archived and then deleted, ${how}. Until the archive's period is over, it can be restored`,
    },
    periods: [keepFor],
    withPeriods: (replace) => ({ ...declared, keepFor: replace(keepFor) }),
    configured: () => declared,
    problems: (policy) => problems(declared, policy),
    unfit: () => [],
  };
};

function problems({ subjects }: Archive, policy: Declared): string[] {
  const names = policy.scope.organization !== undefined || policy.scope.user !== undefined;
  return [
    ...(names || subjects === 'none'
      ? []
      : [
          'scope: an erasure and a hold reach an archive by the organization or the user of its rows; name the column, or say subjects: "none" in the strategy',
        ]),
    ...(names && subjects === 'none'
      ? ['strategy.subjects: the rows belong to an organization or a user: see scope']
      : []),
    ...(policy.partitioned && policy.partitioned.by !== 'other'
      ? [
          'partitioned: a partition is dropped whole, without a look at its rows; leave it out, and they are archived row by row',
        ]
      : []),
  ];
}
