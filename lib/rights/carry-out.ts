/**
 * Carries out a confirmed request: each table with rows of the subject, what refers to a row before the row, through the batch
 * transaction. What a step comes to stands in the receipts of its runs, so that a call that dies has lost none; a request that
 * was withdrawn meanwhile stops before the next table. Tables that refer to each other in a circle are gone through again as
 * long as that takes rows away.
 */
import type { Logger } from 'pino';
import type { Services } from '../services';
import { eraseFromArchives, NOTHING_ARCHIVED } from './archives/entomb';
import { foundInWords, hasFound, isClean, isComplete, notReadInWords } from './check';
import { type Erased, erasePolicy, nothingOf, waiting } from './erase-policy';
import { type Finish, finish } from './finish';
import { type Graph, graphOf, type Step } from './graph';
import { undecidedInWords } from './preview';
import { type ErasureCall, type ErasureResult, gone, masked, sum, total } from './result';
import { retainedOf } from './retained';
import { beginErasure, beginStep, type ErasureRecord, readSteps, recordSteps } from './store';
import { hasWaiting, withRows } from './with-rows';

type Request = Pick<ErasureRecord, 'id' | 'scope' | 'subject' | 'identifiers'>;

/** An archive takes seconds to write anew; none is begun that could not be finished. */
const CLOSING_MS = 30_000;

export async function carryOut(
  services: Services,
  request: Request,
  call: ErasureCall,
): Promise<ErasureResult> {
  const log = services.log.child({
    correlation_id: call.correlationId,
    script: 'erasure',
    erasure: request.id,
  });
  const { scope, subject: id } = request;
  const graph = await graphOf(services, { scope, id }, request.identifiers);
  const { done, stillWanted } = await throughTables(services, graph, request.id, call, log);
  const unfinished = done.filter((e) => e.outcome !== 'succeeded');
  const inTime = () => call.deadline.getTime() - services.clock().getTime() > CLOSING_MS;
  const isReaching = stillWanted && graph.problems.length === 0;
  const archived = isReaching ? await eraseFromArchives(services, request.id, inTime) : NOTHING_ARCHIVED;
  const kept = done.reduce((n, e) => n + sum(e.kept), 0) + archived.held;
  const isFree = stillWanted && graph.problems.length === 0 && unfinished.length === 0 && kept === 0;
  const hasChanged = done.some((e) => e.changed > 0);
  const finishing = { request, graph, call, isFree, hasChanged };
  const { outbox, ...finished } = await finish(services, finishing);
  const ending = { ...finished, stillWanted, unfinished, kept, problems: graph.problems };
  const sofar = await comeTo(services, request.id, ending);
  const { outOfReach, problems } = graph;
  const result = {
    ...sofar,
    archived: archived.dead,
    retained: retainedOf(graph),
    outOfReach,
    problems,
    outbox,
  };
  tell(log, result);
  return result;
}

interface Through {
  readonly done: readonly Erased[];
  readonly stillWanted: boolean;
}

async function throughTables(
  services: Services,
  graph: Graph,
  id: string,
  call: ErasureCall,
  log: Logger,
): Promise<Through> {
  const { database } = services;
  const wanted = () => beginErasure(database, id, call.actor, graph.identifiers);
  let latest = new Map<string, Erased>();
  // A request is begun also where it stays open until the map is complete, or where nothing is left.
  if (!(await wanted())) return { done: [], stillWanted: false };
  if (graph.problems.length > 0) return { done: [], stillWanted: true };
  for (;;) {
    const there = await withRows(services, graph.steps);
    const swept = await sweep(services, { graph, there, id, call, log, wanted });
    latest = new Map([...latest, ...swept.done.map((e) => [e.step.name, e] as const)]);
    const done = [...latest.values()];
    if (!swept.stillWanted || swept.stopped || !isWorthAnother(swept.done)) {
      return { done, stillWanted: swept.stillWanted };
    }
  }
}

/** Rows that others kept here may be free now. */
const isWorthAnother = (done: readonly Erased[]): boolean =>
  done.some((e) => e.changed > 0) && done.some((e) => e.kept.referenced > 0 || e.reason === 'waits');

interface Sweeping {
  readonly graph: Graph;
  /** Steps with rows. */
  readonly there: ReadonlySet<Step>;
  readonly id: string;
  readonly call: ErasureCall;
  readonly log: Logger;
  wanted(): Promise<boolean>;
}

/** Every step once. */
async function sweep(
  services: Services,
  { graph, there, id, call, log, wanted }: Sweeping,
): Promise<Through & { stopped: boolean }> {
  const { database } = services;
  const empty = graph.steps.filter((s) => !there.has(s)).map(nothingOf);
  if (empty.length > 0) await recordSteps(database, id, empty);
  const done: Erased[] = [...empty];
  const steps = graph.steps.filter((s) => there.has(s));
  for (const [i, step] of steps.entries()) {
    if (!(await wanted())) return { done, stillWanted: false, stopped: true };
    const isAfter = ({ label }: Step) => step.after.includes(label);
    // Where tables refer to each other what it waits for may come behind it.
    const mustWait = done.some((e) => isAfter(e.step) && !isThrough(e)) || steps.slice(i + 1).some(isAfter);
    const erased = mustWait ? waiting(step) : await eraseStep(services, step, id, call, log);
    await recordSteps(database, id, [erased]);
    const { outcome, reason, changed, kept } = erased;
    log.info(
      { event: 'erasure.step', policy: step.name, outcome, reason, records_deleted: changed, kept },
      `${step.name}: ${changed} rows`,
    );
    done.push(erased);
    // A stop for all also stops the remaining tables.
    if (reason === 'stopped') return { done, stillWanted: true, stopped: true };
  }
  return { done, stillWanted: true, stopped: false };
}

async function eraseStep(
  services: Services,
  step: Step,
  id: string,
  call: ErasureCall,
  log: Logger,
): Promise<Erased> {
  const begun = (run: string) => beginStep(services.database, id, step, run);
  const erased = await erasePolicy(services, step, call, log, begun);
  const waits = erased.outcome === 'succeeded' && (await hasWaiting(services, step));
  return waits ? { ...erased, outcome: 'skipped', reason: 'waits' } : erased;
}

const isThrough = ({ outcome, kept }: Erased): boolean => outcome === 'succeeded' && sum(kept) === 0;

interface Ending extends Omit<Finish, 'outbox'> {
  readonly stillWanted: boolean;
  readonly unfinished: readonly Erased[];
  readonly kept: number;
  readonly problems: Graph['problems'];
}

/** The result over all calls of this request. */
async function comeTo(
  services: Services,
  id: string,
  ending: Ending,
): Promise<Omit<ErasureResult, 'outOfReach' | 'outbox' | 'retained' | 'problems'>> {
  const steps = await readSteps(services.database, id);
  const policies = steps
    .filter((s) => s.outcome !== 'out_of_reach')
    .map(({ dependants_deleted: dependantsDeleted, ...s }) => ({ ...s, dependantsDeleted }));
  const [deleted, changed] = [total(policies, gone), total(policies, masked)];
  const errored = ending.unfinished.filter((e) => e.outcome === 'errored');
  const undecided = ending.problems.length > 0;
  const isWrong = undecided || errored.length > 0 || (ending.checked !== null && hasFound(ending.checked));
  const because =
    errored[0]?.reason ?? ending.unfinished[0]?.reason ?? (ending.kept > 0 ? 'kept' : unchecked(ending));
  return {
    id,
    mode: 'delete',
    ledger: ending.keeping,
    outcome: ending.finished ? 'succeeded' : isWrong ? 'errored' : 'interrupted',
    reason: ending.finished ? null : !ending.stillWanted ? 'not_open' : undecided ? 'undecided' : because,
    message: inWords(ending, deleted, changed),
    deleted,
    masked: changed,
    files: total(policies, (s) => s.files),
    bytes: total(policies, (s) => s.bytes),
    kept: ending.kept,
    policies,
  };
}

/** What is missing when no table has a row that may go. */
function unchecked({ checked }: Ending): string {
  if (checked === null || isClean(checked)) return 'ledger';
  if (hasFound(checked)) return 'left_behind';
  return isComplete(checked) ? 'files' : 'checking';
}

const UNCHECKED = {
  files: 'all rows were erased; the store has not confirmed every file yet: the next call finishes it',
  checking: 'all was erased; the check of every table had no more time: the next call continues it',
} as const;

const UNKEPT = {
  failed:
    'all was erased, but the store did not take the entry of the ledger, or still keeps an export: the next call finishes it',
  restored:
    'all was erased, but the database has been restored: the cron erasures first takes up what came back, then finishes it',
} as const;

function inWords(ending: Ending, deleted: number, changed: number): string {
  const { finished, stillWanted, unfinished, kept, problems, keeping } = ending;
  if (finished) return doneInWords(ending, deleted, changed);
  if (!stillWanted) return 'not done: the request has been taken back, or another call has finished it';
  if (problems.length > 0) return undecidedInWords(problems);
  if (unfinished.length > 0) {
    const what = unfinished
      .map((e) => `${e.step.name} (${e.reason})${e.message ? `: ${e.message}` : ''}`)
      .join(', ');
    return `not done: ${what}; the next call resumes it`;
  }
  const missing = kept > 0 ? null : unchecked(ending);
  if (missing === 'left_behind')
    return `not done: the check found ${foundInWords(ending.checked!)}; it stays open`;
  if (missing === 'files' || missing === 'checking') return UNCHECKED[missing];
  if (keeping === 'failed' || keeping === 'restored') return UNKEPT[keeping];
  return `${kept} rows stay because of a hold, a reference or a dead letter; the request stays open and is resumed when they are free`;
}

/** Not more than is so: what is retained is said, and what still lies in archives. */
function doneInWords({ checked, archived }: Ending, deleted: number, changed: number): string {
  const retained = Object.keys(checked?.retained ?? {}).length;
  const { archives, rows } = archived ?? { archives: 0, rows: 0 };
  const left = [
    retained > 0 && `what ${retained} tables retain on the grounds of the data map`,
    rows > 0 && `${rows} rows in archives, which no restore brings back, until these are written anew`,
    checked !== null && checked.notRead.length > 0 && notReadInWords(checked),
  ].filter((x) => x !== false);
  const but = left.length > 0 ? ` but ${left.join(', and ')}` : '';
  if (deleted + changed + archives === 0)
    return left.length > 0
      ? `0 rows: nothing of this subject is left${but}`
      : '0 rows: nothing of this subject was found';
  const also = changed > 0 ? `, ${changed} rows were masked` : '';
  const from = archives > 0 ? `, and rows of ${archives} archives` : '';
  return `${deleted} rows and their files were erased${also}${from}; nothing of the subject is left${but}`;
}

function tell(log: Logger, result: ErasureResult): void {
  const { outcome, reason, deleted, masked: changed, files, kept } = result;
  log[outcome === 'errored' ? 'error' : 'info'](
    { event: 'erasure.completed', outcome, reason, records_deleted: deleted, masked: changed, files, kept },
    result.message,
  );
}
