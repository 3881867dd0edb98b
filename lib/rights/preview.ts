/** What an erasure would take: its own predicate in READ ONLY transactions, counted page by page. */
import { count } from '../engine/statement/found';
import { asking, readingOnly } from '../platform/session';
import type { Services } from '../services';
import type { Graph, Step } from './graph';
import { type ErasureResult, type ErasureStepResult, gone, masked, sum, total } from './result';
import { retainedOf } from './retained';

/** `interrupted` when there was no time to count all of it. */
export async function previewErasure(
  services: Services,
  graph: Graph,
  deadline: Date,
): Promise<ErasureResult> {
  const policies: ErasureStepResult[] = [];
  const { problems } = graph;
  let complete = true;
  for (const step of problems.length > 0 ? [] : graph.steps) {
    const found = await countOne(services, step, deadline);
    complete &&= found.complete;
    policies.push(found.step);
  }
  const [deleted, changed] = [total(policies, gone), total(policies, masked)];
  const undecided = problems.length > 0;
  return {
    id: null,
    mode: 'dry_run',
    outcome: undecided ? 'errored' : complete ? 'succeeded' : 'interrupted',
    reason: undecided ? 'undecided' : complete ? null : 'time',
    message: undecided
      ? undecidedInWords(problems)
      : `dry run: nothing was deleted; would delete ${deleted} rows${changed > 0 ? ` and mask ${changed}` : ''}`,
    deleted,
    masked: changed,
    files: total(policies, (s) => s.files),
    bytes: total(policies, (s) => s.bytes),
    kept: total(policies, (s) => sum(s.kept)),
    policies,
    retained: retainedOf(graph),
    outOfReach: graph.outOfReach,
    problems,
    outbox: null,
  };
}

export const undecidedInWords = (problems: Graph['problems']): string =>
  `nothing can be erased: ${problems.map((p) => `${p.problem}: ${p.remedy}`).join('; ')}`;

async function countOne(
  services: Services,
  { name, label, kind, previewing, seen }: Step,
  deadline: Date,
): Promise<{ step: ErasureStepResult; complete: boolean }> {
  const found = await count({
    policy: previewing,
    legs: [seen],
    asOf: services.clock().toISOString(),
    reading: readingOnly(asking(services.database)),
    inTime: () => services.clock() < deadline,
  });
  const { expired: deleted, files, bytes, kept, complete } = found;
  const dependantsDeleted = Object.values(found.dependants).reduce((sum, n) => sum + n, 0);
  const about = { policy: name, table: label, action: kind, outcome: 'dry_run', reason: null };
  return { step: { ...about, deleted, dependantsDeleted, files, bytes, kept }, complete };
}
