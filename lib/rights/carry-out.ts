/**
 * Carries out a confirmed request: every governed table that names the subject, one after the other, through the batch
 * transaction. Each count is kept before the next table begins, so that a call that dies has lost none; a request that
 * was withdrawn meanwhile stops before the next table.
 */
import type { Logger } from 'pino';
import { drainOutbox } from '../files/drain';
import type { Services } from '../services';
import { type Erased, erasePolicy } from './erase-policy';
import { dropWithdrawn, type Keeping, keepInLedger } from './ledger/keep';
import { type ErasureCall, type ErasureResult, sum, total } from './result';
import { beginErasure, type ErasureRecord, finishErasure, readSteps, recordSteps } from './store';
import type { Reach } from './subject';

export async function carryOut(
  services: Services,
  reach: readonly Reach[],
  request: Pick<ErasureRecord, 'id'>,
  call: ErasureCall,
): Promise<ErasureResult> {
  const log = services.log.child({
    correlation_id: call.correlationId,
    script: 'erasure',
    erasure: request.id,
  });
  const { done, stillWanted } = await throughTables(services, reach, request.id, call, log);
  const unfinished = done.filter((e) => e.outcome !== 'succeeded' && e.outcome !== 'out_of_reach');
  const kept = done.reduce((n, e) => n + sum(e.kept), 0);
  const isFree = stillWanted && unfinished.length === 0 && kept === 0;
  // Before it is called done, so that no restore can undo what was answered.
  const keeping = isFree ? await keepInLedger(services, request.id) : null;
  const isKept = keeping === 'kept' || keeping === 'off';
  const finished = isKept && (await finishErasure(services.database, request.id, call.actor));
  if (keeping === 'kept' && !finished) await dropWithdrawn(services, request.id);
  const queued = done.some((e) => e.files > 0);
  const outbox = queued ? await drainOutbox(services, { ...call, dryRun: false }) : null;
  const ending = { finished, stillWanted, unfinished, kept, keeping };
  const result = { ...(await comeTo(services, request.id, ending)), outOfReach: outOf(done), outbox };
  tell(log, result);
  return result;
}

async function throughTables(
  services: Services,
  reach: readonly Reach[],
  id: string,
  call: ErasureCall,
  log: Logger,
): Promise<{ done: Erased[]; stillWanted: boolean }> {
  const done: Erased[] = [];
  for (const one of reach) {
    if (!(await beginErasure(services.database, id, call.actor))) return { done, stillWanted: false };
    const erased = await erasePolicy(services, one, call, log);
    await recordSteps(services.database, id, [erased]);
    const { policy, outcome, reason, deleted, kept } = erased;
    log.info(
      { event: 'erasure.step', policy, outcome, reason, records_deleted: deleted, kept },
      `${policy}: ${deleted} rows`,
    );
    done.push(erased);
    // A stop for all also stops the remaining tables.
    if (reason === 'stopped') break;
  }
  if (reach.length > 0) return { done, stillWanted: true };
  // Of no table at all there is nothing left either.
  return { done, stillWanted: await beginErasure(services.database, id, call.actor) };
}

const outOf = (done: readonly Erased[]): string[] =>
  done.filter((e) => e.outcome === 'out_of_reach').map((e) => e.policy);

interface Ending {
  readonly finished: boolean;
  readonly stillWanted: boolean;
  readonly unfinished: readonly Erased[];
  readonly kept: number;
  /** Null: something is left. */
  readonly keeping: Keeping | null;
}

/** The result over all calls of this request. */
async function comeTo(
  services: Services,
  id: string,
  ending: Ending,
): Promise<Omit<ErasureResult, 'outOfReach' | 'outbox'>> {
  const steps = await readSteps(services.database, id);
  const policies = steps
    .filter((s) => s.outcome !== 'out_of_reach')
    .map(({ dependants_deleted: dependantsDeleted, ...s }) => ({ ...s, dependantsDeleted }));
  const deleted = total(policies, (s) => s.deleted);
  const errored = ending.unfinished.filter((e) => e.outcome === 'errored');
  const because = errored[0]?.reason ?? ending.unfinished[0]?.reason ?? (ending.kept > 0 ? 'kept' : 'ledger');
  return {
    id,
    mode: 'delete',
    ledger: ending.keeping,
    outcome: ending.finished ? 'succeeded' : errored.length > 0 ? 'errored' : 'interrupted',
    reason: ending.finished ? null : ending.stillWanted ? because : 'not_open',
    message: inWords(ending, deleted),
    deleted,
    files: total(policies, (s) => s.files),
    bytes: total(policies, (s) => s.bytes),
    kept: ending.kept,
    policies,
  };
}

const UNKEPT = {
  failed:
    'all was erased, but the ledger could not be written, so that a restore would bring it back: the next call finishes it',
  restored:
    'all was erased, but the database has been restored: the cron erasures first takes up what came back, then finishes it',
} as const;

function inWords({ finished, stillWanted, unfinished, kept, keeping }: Ending, deleted: number): string {
  if (finished) {
    return deleted === 0
      ? '0 rows: nothing of this subject was found'
      : `${deleted} rows and their files were erased; nothing of the subject is left`;
  }
  if (!stillWanted) return 'not done: the request has been taken back, or another call has finished it';
  if (unfinished.length > 0) {
    const what = unfinished.map((e) => `${e.policy} (${e.reason})`).join(', ');
    return `not done: ${what}; the next call resumes it`;
  }
  if (keeping === 'failed' || keeping === 'restored') return UNKEPT[keeping];
  return `${kept} rows stay because of a hold, a reference or a dead letter; the request stays open and is resumed when they are free`;
}

function tell(log: Logger, result: ErasureResult): void {
  const { outcome, reason, deleted, files, kept } = result;
  log[outcome === 'errored' ? 'error' : 'info'](
    { event: 'erasure.completed', outcome, reason, records_deleted: deleted, files, kept },
    result.message,
  );
}
