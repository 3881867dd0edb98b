/** What an erasure would take: its own predicate in READ ONLY transactions, counted page by page. */
import { count } from '../engine/statement/found';
import { asking, readingOnly } from '../platform/session';
import type { Services } from '../services';
import { type ErasureResult, type ErasureStepResult, sum, total } from './result';
import type { Reach } from './subject';

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
  { policy, erasing }: Reach,
  leg: NonNullable<Reach['leg']>,
  deadline: Date,
): Promise<{ step: ErasureStepResult; complete: boolean }> {
  const found = await count({
    policy: erasing,
    legs: [leg],
    asOf: services.clock().toISOString(),
    reading: readingOnly(asking(services.database)),
    inTime: () => services.clock() < deadline,
  });
  const { expired: deleted, files, bytes, kept, complete } = found;
  const dependantsDeleted = Object.values(found.dependants).reduce((sum, n) => sum + n, 0);
  const about = { policy: policy.name, outcome: 'dry_run', reason: null };
  return { step: { ...about, deleted, dependantsDeleted, files, bytes, kept }, complete };
}
