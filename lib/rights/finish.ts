/**
 * How a request ends, once no table has a row of the subject that may go: the files in the subject's own folders follow, the outbox
 * is emptied, the check looks at everything again, the ledger takes the request, and only then is it called done, with what
 * is certified. Whatever is missing keeps it open, and the next call continues there.
 */
import { type DrainResult, drainOutbox } from '../files/drain';
import type { Services } from '../services';
import { type Dead, deadInArchives } from './archives/entomb';
import { certified } from './certificate';
import { type Checked, check, hasFound, isClean, isComplete, tellOfCheck } from './check';
import { dropExportsOf } from './export/export';
import type { Graph } from './graph';
import { dropWithdrawn, type Keeping, keepInLedger } from './ledger/keep';
import type { ErasureCall } from './result';
import { retainedOf } from './retained';
import { type ErasureRecord, finishErasure, noteChecked, queueFiles, readChecked, readSteps } from './store';

/** For what follows the check: the ledger, the end, the answer. */
const CLOSING_MS = 5_000;

export interface Finish {
  readonly finished: boolean;
  /** Null: something is left, or there was nothing to look at. */
  readonly checked: Checked | null;
  readonly keeping: Keeping | null;
  readonly outbox: DrainResult | null;
  /** Of one that is finished. */
  readonly archived?: Dead;
}

export interface Finishing {
  readonly request: Pick<ErasureRecord, 'id' | 'scope' | 'subject'>;
  readonly graph: Graph;
  readonly call: ErasureCall;
  /** No table has a row that may go, and none is kept. */
  readonly isFree: boolean;
  /** Rows went in this call: what an earlier check saw is out of date. */
  readonly hasChanged: boolean;
}

export async function finish(services: Services, f: Finishing): Promise<Finish> {
  const { request, graph, call, isFree } = f;
  const inFolders = isFree ? await queueFolders(services, request.id, graph.prefixes) : 0;
  const steps = await readSteps(services.database, request.id);
  const hasFiles = inFolders > 0 || steps.some((s) => s.files > 0);
  const outbox = hasFiles ? await drainOutbox(services, { ...call, dryRun: false }) : null;
  if (!isFree) return { finished: false, checked: null, keeping: null, outbox };
  const checked = await checkAgain(services, f);
  if (!isClean(checked)) return { finished: false, checked, keeping: null, outbox };
  // Before it is called done, so that no restore can undo what was answered.
  const keeping = await keptOf(services, graph, request.id);
  if (keeping !== 'kept' && keeping !== 'off') return { finished: false, checked, keeping, outbox };
  const archived = await deadInArchives(services, graph.subject);
  const text = certified(services, { request, steps, retained: retainedOf(graph), checked, archived });
  const finished = await finishErasure(services.database, request.id, call.actor, text);
  if (keeping === 'kept' && !finished) await dropWithdrawn(services, request.id);
  return { finished, checked, keeping, outbox, archived };
}

/** No copy of it is left, and the ledger has it. */
const keptOf = async (services: Services, { subject }: Graph, id: string): Promise<Keeping> =>
  (await dropExportsOf(services, subject)) ? keepInLedger(services, id) : 'failed';

/** Hands over what lies in the subject's own folders; how many files. */
async function queueFolders(
  { blob, database }: Services,
  id: string,
  prefixes: readonly string[],
): Promise<number> {
  let found = 0;
  for (const prefix of prefixes) {
    let cursor: string | null = null;
    do {
      const page: Awaited<ReturnType<NonNullable<Services['blob']>['list']>> | undefined = await blob?.list({
        prefix,
        cursor,
      });
      const files = page?.files.map((f) => ({ path: f.pathname, bytes: f.bytes })) ?? [];
      if (files.length > 0) await queueFiles(database, id, prefix, files);
      found += files.length;
      cursor = page?.cursor ?? null;
    } while (cursor !== null);
  }
  return found;
}

async function checkAgain(
  services: Services,
  { request, graph, call, hasChanged }: Finishing,
): Promise<Checked> {
  const { database } = services;
  const before = hasChanged ? null : await readChecked(database, request.id);
  const checked = await check(services, {
    erasure: request.id,
    subject: graph.subject,
    identifiers: graph.identifiers,
    prefixes: graph.prefixes,
    sofar: before && !isComplete(before) ? before : null,
    inTime: () => services.clock().getTime() < call.deadline.getTime() - CLOSING_MS,
  });
  await noteChecked(database, request.id, checked);
  if (isClean(checked) || hasFound(checked)) await tellOfCheck(services, request.id, checked);
  return checked;
}
