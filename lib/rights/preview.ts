/** What an erasure would take: its own predicate in READ ONLY transactions, counted page by page. */
import { PreviewPage, previewPage } from '../engine/statement/preview';
import { type Kept, noneKept } from '../platform/outcome';
import { oneRow, query } from '../platform/query';
import { askOne } from '../platform/session';
import type { Services } from '../services';
import { type ErasureResult, type ErasureStepResult, sum, total } from './result';
import type { Reach } from './subject';

/** A page of 20,000 rows of one subject, sorted. */
const PAGE_MS = 15_000;

/** `interrupted` when there was no time to count all of it. */
export async function previewErasure(
  services: Services,
  reach: readonly Reach[],
  deadline: Date,
): Promise<ErasureResult> {
  const policies: ErasureStepResult[] = [];
  let complete = true;
  for (const one of reach) {
    if (!one.leg) continue;
    const found = await countOne(services, one, one.leg, deadline);
    complete &&= found.complete;
    policies.push(found.step);
  }
  const deleted = total(policies, (s) => s.deleted);
  return {
    id: null,
    mode: 'dry_run',
    outcome: complete ? 'succeeded' : 'interrupted',
    reason: complete ? null : 'time',
    message: `dry run: nothing was deleted; would delete ${deleted} rows`,
    deleted,
    files: total(policies, (s) => s.files),
    bytes: total(policies, (s) => s.bytes),
    kept: total(policies, (s) => sum(s.kept)),
    policies,
    outOfReach: reach.filter((r) => !r.leg).map((r) => r.policy.name),
    outbox: null,
  };
}

async function countOne(
  services: Services,
  one: Reach,
  leg: NonNullable<Reach['leg']>,
  deadline: Date,
): Promise<{ step: ErasureStepResult; complete: boolean }> {
  const asOf = services.clock().toISOString();
  const found = { deleted: 0, dependantsDeleted: 0, files: 0, bytes: 0, kept: noneKept() };
  let complete = true;
  let position: Parameters<typeof previewPage>[2] = null;
  for (let ended = false; !ended; ) {
    if (services.clock() >= deadline) {
      complete = false;
      break;
    }
    const looking = query(previewPage(one.erasing, leg, position, asOf), oneRow(PreviewPage));
    const page = await askOne(services.database, looking, { statementMs: PAGE_MS, readOnly: true });
    for (const by of Object.values(page.by_rule)) {
      found.deleted += by.expired;
      found.files += by.files;
      found.bytes += by.bytes;
    }
    for (const n of Object.values(page.dependants)) found.dependantsDeleted += n;
    for (const [why, n] of Object.entries(page.kept)) found.kept[why as keyof Kept] += n ?? 0;
    ({ ended, ...position } = page.after);
  }
  const about = { policy: one.policy.name, outcome: 'dry_run', reason: null };
  return { step: { ...about, ...found }, complete };
}
