/**
 * Erasure override (P7): everything of one organization or user, whatever its age and tier, enterprise included, rows and
 * files, in every table of the data map (./graph). A named operator asks for it; where it reaches far a second one confirms it;
 * only then is anything deleted. A request stays open until nothing of the subject is left: a hold delays it, and the scheduled
 * call resumes it. What nobody has decided is recorded, and erased when the map has its line.
 */
import { RequestError } from '../platform/errors';
import type { JobResult } from '../platform/job';
import type { Services } from '../services';
import { carryOut } from './carry-out';
import { graphOf } from './graph';
import { previewErasure } from './preview';
import { type ErasureCall, type ErasureResult, sum, total } from './result';
import {
  confirmErasure,
  dueErasures,
  type ErasureRecord,
  type Refused,
  requestErasure,
  withdrawErasure,
} from './store';
import type { Subject } from './subject';

export interface ErasureRequest extends ErasureCall {
  readonly subject: Subject;
  readonly reason: string;
  readonly dryRun: boolean;
}

/** Of the time of a request, for counting what it reaches: the rest is for erasing it. */
const COUNTING_SHARE = 0.25;
/** More requests than this are a morning's work for several calls. */
const MOST_AT_ONCE = 100;

/** A dry run; or records the request and, when no second person has to confirm it, carries it out. */
export async function eraseSubject(services: Services, request: ErasureRequest): Promise<ErasureResult> {
  const graph = await graphOf(services, request.subject);
  if (request.dryRun || services.settings.dryRun) return previewErasure(services, graph, request.deadline);
  const now = services.clock().getTime();
  const countUntil = new Date(now + (request.deadline.getTime() - now) * COUNTING_SHARE);
  const found = await previewErasure(services, graph, countUntil);
  const isCounted = found.outcome === 'succeeded';
  const record = await requestErasure(services.deciding, graph.subject, {
    reason: request.reason,
    by: request,
    // What is held now may be released later, and dependants are deleted just like the rows themselves.
    found: isCounted ? total(found.policies, (p) => p.deleted + p.dependantsDeleted + sum(p.kept)) : null,
    identifiers: graph.identifiers,
  });
  if (record.state === 'requested') return waiting(record, found);
  return carryOut(services, record, request);
}

/** By a second operator; then carries it out. */
export async function confirmRequest(
  services: Services,
  order: ErasureCall & { readonly id: string; readonly reason: string },
): Promise<ErasureResult> {
  refuseOutsideProduction(services);
  const record = accepted(await confirmErasure(services.deciding, order.id, order.reason, order), order.id);
  return carryOut(services, record, order);
}

export async function withdrawRequest(
  services: Services,
  order: Pick<ErasureCall, 'actor' | 'token'> & { readonly id: string; readonly reason: string },
): Promise<{ id: string; state: string }> {
  refuseOutsideProduction(services);
  const record = accepted(await withdrawErasure(services.deciding, order.id, order.reason, order), order.id);
  return { id: record.id, state: record.state };
}

export interface Resumed extends JobResult {
  readonly erasures: readonly ErasureResult[];
}

/** Resumes what has been confirmed, as long as time allows, the one that has waited longest first. */
export async function resumeErasures(
  services: Services,
  order: ErasureCall & { readonly dryRun: boolean },
): Promise<Resumed> {
  const results: ErasureResult[] = [];
  if (order.dryRun) {
    const message = 'dry run: nothing was erased';
    return { outcome: 'skipped', reason: 'dry_run', message, erasures: results };
  }
  for (const due of await dueErasures(services.database, MOST_AT_ONCE)) {
    if (order.deadline.getTime() - services.clock().getTime() < 5_000) break;
    const result = await carryOut(services, due, order);
    results.push(result);
    if (result.reason === 'stopped') break;
  }
  const bad = results.find((r) => r.outcome === 'errored') ?? results.find((r) => r.outcome !== 'succeeded');
  const done = results.filter((r) => r.outcome === 'succeeded').length;
  return {
    outcome: bad?.outcome === 'waiting' ? 'interrupted' : (bad?.outcome ?? 'succeeded'),
    reason: bad?.reason ?? null,
    message: `${results.length} confirmed requests, ${done} of them done${bad ? `; ${bad.message}` : ''}`,
    ...nextErasure(results),
    erasures: results,
  };
}

/**
 * The law of erasures: after one that was tried each call looks, at what is left of it or at what is over with it; with none
 * there is nothing to do until somebody asks for one or confirms one, which is announced.
 */
export const nextErasure = (tried: readonly unknown[]): Pick<JobResult, 'nextLook'> =>
  tried.length === 0 ? { nextLook: null } : {};

function waiting(record: ErasureRecord, found: ErasureResult): ErasureResult {
  const rows = record.rows_found === null ? 'more rows than could be counted' : `${record.rows_found} rows`;
  return {
    ...found,
    id: record.id,
    mode: 'delete',
    outcome: 'waiting',
    reason: 'unconfirmed',
    message: `nothing was erased yet: it reaches ${rows} of ${record.scope === 'user' ? 'a user' : 'an organization'}, so an operator other than ${record.requested_by} confirms it with {"action":"confirm","id":"${record.id}","reason":"…"}${found.problems.length > 0 ? `; before that ${found.message}` : ''}`,
    deleted: 0,
    masked: 0,
    files: 0,
    bytes: 0,
  };
}

/** Throws what the request's state refuses. */
function accepted(answer: ErasureRecord | Refused, id: string): ErasureRecord {
  if (!('refused' in answer)) return answer;
  if (answer.refused === 'unknown') {
    throw new RequestError(404, 'unknown', `there is no request ${id}`, 'id');
  }
  if (answer.refused === 'own') {
    throw new RequestError(409, 'own_request', 'another operator than the one who asked confirms it', 'id');
  }
  throw new RequestError(409, 'wrong_state', `this request is ${answer.refused} already`, 'id');
}

function refuseOutsideProduction({ settings }: Services): void {
  if (!settings.dryRun) return;
  throw new RequestError(
    409,
    'dry_run',
    `only dry runs here (${settings.dryRunBecause}): nothing was changed`,
    'action',
  );
}
