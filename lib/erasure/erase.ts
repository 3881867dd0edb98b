/**
 * Erasure override (P7): everything of one organisation or user, whatever its age and tier, enterprise included,
 * rows and files, in every governed table that names such a subject. A request is remembered before anything is
 * deleted and stays open until nothing of the subject is left; a hold delays it, and the daily call finishes it.
 */

import { PreviewPage, previewPage } from '../batch/preview';
import { answerTimeoutMs, session } from '../batch/session';
import { DatabaseError, RequestError } from '../errors';
import { type DrainResult, drainOutbox } from '../outbox/drain';
import { type Kept, noneKept } from '../runner/result';
import type { Services } from '../services';
import { type OpenErasure, openErasure, openErasures, readSteps, recordSteps } from '../stores/erasure';
import { type Erased, erasePolicy } from './erase-policy';
import { lookFor, type Reach, reachOf, type Subject } from './subject';

export interface ErasureRequest {
  readonly subject: Subject;
  readonly reason: string;
  readonly actor: string;
  readonly correlationId: string;
  readonly deadline: Date;
  readonly dryRun: boolean;
}

export interface ErasureStepResult {
  readonly policy: string;
  readonly outcome: string;
  readonly reason: string | null;
  readonly deleted: number;
  readonly dependantsDeleted: number;
  readonly files: number;
  readonly bytes: number;
  readonly kept: Partial<Kept>;
}

export interface ErasureResult {
  readonly id: string | null;
  readonly mode: 'delete' | 'dry_run';
  /** `succeeded`: nothing of the subject is left. `interrupted`: it goes on with the next call. */
  readonly outcome: 'succeeded' | 'interrupted' | 'errored';
  readonly reason: string | null;
  readonly message: string;
  /** Over all calls of this request; for a dry run, what a call would delete. */
  readonly deleted: number;
  readonly files: number;
  readonly bytes: number;
  readonly kept: number;
  readonly policies: readonly ErasureStepResult[];
  /** Tables that name no such subject. */
  readonly outOfReach: readonly string[];
  readonly outbox: DrainResult | null;
}

/** A page of 20,000 rows of one subject, sorted. */
const PAGE_MS = 15_000;

export async function eraseSubject(services: Services, request: ErasureRequest): Promise<ErasureResult> {
  const reach = reachOf(services.policies, request.subject);
  await refuseWhatIsNoId(services, reach, request.subject);
  if (request.dryRun || services.settings.dryRun) return previewErasure(services, reach, request);
  const open = await openErasure(services.database, request.subject, request.reason, request.actor);
  return carryOut(services, reach, open, request);
}

export interface Resumed {
  readonly outcome: 'succeeded' | 'interrupted' | 'skipped' | 'errored';
  readonly reason: string | null;
  readonly message: string;
  readonly erasures: readonly ErasureResult[];
}

/** Goes on with every open request, the oldest first, as long as time allows. */
export async function resumeErasures(
  services: Services,
  order: { actor: string; correlationId: string; deadline: Date; dryRun: boolean },
): Promise<Resumed> {
  const results: ErasureResult[] = [];
  if (order.dryRun) {
    return {
      outcome: 'skipped',
      reason: 'dry_run',
      message: 'dry run: nothing was erased',
      erasures: results,
    };
  }
  // More than a hundred requests open at once is a morning's work for several calls.
  for (const open of await openErasures(services.database, 100)) {
    if (order.deadline.getTime() - services.clock().getTime() < 5_000) break;
    const reach = reachOf(services.policies, { scope: open.scope, id: open.subject });
    results.push(await carryOut(services, reach, open, order));
  }
  const bad = results.find((r) => r.outcome === 'errored') ?? results.find((r) => r.outcome !== 'succeeded');
  return {
    outcome: bad?.outcome ?? 'succeeded',
    reason: bad?.reason ?? null,
    message: `${results.length} open requests, ${results.filter((r) => r.outcome === 'succeeded').length} of them done`,
    erasures: results,
  };
}

async function carryOut(
  services: Services,
  reach: readonly Reach[],
  open: OpenErasure,
  order: { actor: string; correlationId: string; deadline: Date },
): Promise<ErasureResult> {
  const log = services.log.child({
    correlation_id: order.correlationId,
    script: 'erasure',
    erasure: open.id,
  });
  const done: Erased[] = [];
  for (const one of reach) {
    const erased = await erasePolicy(services, one, order, log);
    // After each table: a request that dies has lost no count.
    await recordSteps(services.database, open.id, [erased], null);
    log.info(
      {
        event: 'erasure.step',
        policy: erased.policy,
        outcome: erased.outcome,
        reason: erased.reason,
        records_deleted: erased.deleted,
        kept: erased.kept,
      },
      `${erased.policy}: ${erased.deleted} rows`,
    );
    done.push(erased);
  }
  const kept = done.reduce((n, e) => n + sum(e.kept), 0);
  const unfinished = done.filter((e) => e.outcome !== 'succeeded' && e.outcome !== 'out_of_reach');
  const finished = unfinished.length === 0 && kept === 0;
  if (finished) await recordSteps(services.database, open.id, [], services.clock());
  const queued = done.some((e) => e.files > 0);
  const outbox = queued ? await drainOutbox(services, { ...order, dryRun: false }) : null;
  const steps = await readSteps(services.database, open.id);
  const policies = steps
    .filter((s) => s.outcome !== 'out_of_reach')
    .map(({ dependants_deleted: dependantsDeleted, ...s }) => ({ ...s, dependantsDeleted }));
  const total = (of: (s: ErasureStepResult) => number) => policies.reduce((n, s) => n + of(s), 0);
  const errored = unfinished.filter((e) => e.outcome === 'errored');
  const deleted = total((s) => s.deleted);
  const result: ErasureResult = {
    id: open.id,
    mode: 'delete',
    outcome: finished ? 'succeeded' : errored.length > 0 ? 'errored' : 'interrupted',
    reason: finished ? null : (errored[0]?.reason ?? unfinished[0]?.reason ?? 'kept'),
    message: finished
      ? said(deleted)
      : unfinished.length > 0
        ? `not done: ${unfinished.map((e) => `${e.policy} (${e.reason})`).join(', ')}; the next call goes on`
        : `${kept} rows stay because of a hold, a reference or a dead letter; the request stays open and goes on when they are free`,
    deleted,
    files: total((s) => s.files),
    bytes: total((s) => s.bytes),
    kept,
    policies,
    outOfReach: done.filter((e) => e.outcome === 'out_of_reach').map((e) => e.policy),
    outbox,
  };
  log[result.outcome === 'errored' ? 'error' : 'info'](
    {
      event: 'erasure.completed',
      outcome: result.outcome,
      reason: result.reason,
      records_deleted: deleted,
      files: result.files,
      kept,
    },
    result.message,
  );
  return result;
}

/** The erasure's own predicate in READ ONLY transactions, counted page by page. */
async function previewErasure(
  services: Services,
  reach: readonly Reach[],
  request: ErasureRequest,
): Promise<ErasureResult> {
  const asOf = services.clock().toISOString();
  const policies: ErasureStepResult[] = [];
  let complete = true;
  for (const one of reach) {
    if (!one.leg) continue;
    const sum = { deleted: 0, files: 0, bytes: 0, kept: noneKept() };
    let position: Parameters<typeof previewPage>[2] = null;
    for (let ended = false; !ended; ) {
      if (services.clock() >= request.deadline) {
        complete = false;
        break;
      }
      const rows = await services.database.transaction(
        [session(PAGE_MS), previewPage(one.erasing, one.leg, position, asOf)],
        { readOnly: true, timeoutMs: answerTimeoutMs(PAGE_MS) },
      );
      const page = PreviewPage.parse(rows[1]?.[0]);
      for (const found of Object.values(page.by_rule)) {
        sum.deleted += found.expired;
        sum.files += found.files;
        sum.bytes += found.bytes;
      }
      for (const [why, n] of Object.entries(page.kept)) sum.kept[why as keyof Kept] += n ?? 0;
      ({ ended, ...position } = page.after);
    }
    policies.push({
      policy: one.policy.name,
      outcome: 'dry_run',
      reason: null,
      dependantsDeleted: 0,
      ...sum,
    });
  }
  const total = (of: (s: ErasureStepResult) => number) => policies.reduce((n, s) => n + of(s), 0);
  return {
    id: null,
    mode: 'dry_run',
    outcome: complete ? 'succeeded' : 'interrupted',
    reason: complete ? null : 'time',
    message: `dry run: nothing was deleted; would delete ${total((s) => s.deleted)} rows`,
    deleted: total((s) => s.deleted),
    files: total((s) => s.files),
    bytes: total((s) => s.bytes),
    kept: total((s) => sum(s.kept)),
    policies,
    outOfReach: reach.filter((r) => !r.leg).map((r) => r.policy.name),
    outbox: null,
  };
}

/** A uuid column cannot be asked for "42": said before anything is remembered. */
async function refuseWhatIsNoId(
  services: Services,
  reach: readonly Reach[],
  subject: Subject,
): Promise<void> {
  try {
    await services.database.transaction([session(PAGE_MS), lookFor(reach)], {
      readOnly: true,
      timeoutMs: answerTimeoutMs(PAGE_MS),
    });
  } catch (error) {
    if (error instanceof DatabaseError && error.sqlState?.startsWith('22')) {
      throw new RequestError(422, 'not_an_id', `this cannot be the id of a ${subject.scope}`, subject.scope);
    }
    throw error;
  }
}

const sum = (kept: Partial<Kept>): number => Object.values(kept).reduce((n, k) => n + (k ?? 0), 0);
const said = (deleted: number): string =>
  deleted === 0
    ? '0 rows: nothing of this subject was found'
    : `${deleted} rows and their files were erased; nothing of the subject is left`;
