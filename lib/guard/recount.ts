/**
 * What a preview counted, counted again at the same cutoff: page by page with the batch's own predicate,
 * inside READ ONLY transactions. Null when the time runs out first.
 */
import type { Leg, Position } from '../batch/leg';
import { onLeaves } from '../batch/partition';
import { PreviewPage, previewPage } from '../batch/preview';
import { session } from '../batch/session';
import type { Policy } from '../policies/contract';
import type { Preview } from '../runner/result';
import type { Ask } from './poison';

/** As the dry run's pages. */
const PAGE_MS = 15_000;

export type Counts = Pick<Preview, 'expired' | 'bytes' | 'files' | 'byRule'>;

export async function recount(
  read: Ask,
  policy: Policy,
  legs: readonly Leg[],
  asOf: string,
  inTime: () => boolean,
): Promise<Counts | null> {
  const sum = { expired: 0, bytes: 0, files: 0, byRule: {} as Counts['byRule'] };
  for (const { leg } of await onLeaves(policy, legs, read)) {
    let position: Position | null = null;
    for (;;) {
      if (!inTime()) return null;
      const rows = await read([session(PAGE_MS), previewPage(policy, leg, position, asOf)], PAGE_MS);
      const page = PreviewPage.parse(rows[1]?.[0]);
      for (const [label, r] of Object.entries(page.by_rule)) {
        const before = sum.byRule[label] ?? { expired: 0, bytes: 0, files: 0 };
        sum.byRule[label] = {
          expired: before.expired + r.expired,
          bytes: before.bytes + r.bytes,
          files: before.files + r.files,
        };
        sum.expired += r.expired;
        sum.bytes += r.bytes;
        sum.files += r.files;
      }
      if (page.after.ended) break;
      const { ended: _, ...after } = page.after;
      position = after;
    }
  }
  return sum;
}
