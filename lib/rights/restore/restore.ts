/**
 * Restore (G8, P8): brings back what policies archived before they deleted it, by run, by organization or row by row. A named
 * operator asks, by their own token and with a reason; an organization, or more than 500 rows, waits for a second one. A dry
 * run looks at the same rows and writes nothing. Each restored row is kept from its policy by an extension. What cannot be
 * brought back is reported and left as it is. Stopped anywhere, the next call continues.
 */
import { rightsTo } from '../../engine/archive/restoring';
import { restore as restoreMarked } from '../../operators/restore';
import type { Written } from '../../operators/subject';
import { ArchiveError, RequestError } from '../../platform/errors';
import { askOne } from '../../platform/session';
import type { Policy } from '../../policies/contract';
import { strategyOf } from '../../policies/strategies';
import { treeOf } from '../../policies/tree';
import type { Services } from '../../services';
import { type Archive, archivesOf, expiredOf, type Wish } from './archives';
import { type Brought, bringBack, type Counts } from './one-archive';
import {
  askAs,
  type By,
  confirmRestore,
  finishRestore,
  noteRestored,
  type RestoreRecord,
  requestRestore,
  restoreOf,
  throughWith,
} from './records';

export interface RestoreCall extends By {
  readonly deadline: Date;
}

export interface RestoreOrder extends RestoreCall, Wish {
  readonly reason: string;
  readonly dryRun: boolean;
  /** How long no policy takes the rows again. */
  readonly keepDays: number;
}

export interface RestoreResult {
  readonly id: string | null;
  readonly mode: 'restore' | 'dry_run';
  /** `waiting`: for a second operator. `interrupted`: ask again with {"action":"resume"}. */
  readonly outcome: 'succeeded' | 'waiting' | 'interrupted';
  readonly message: string;
  readonly archives: number;
  /** Archives that held it and whose period is over. */
  readonly expired: number;
  readonly counts: Counts;
  readonly problems: Brought['problems'];
  readonly problemsLeftOut: number;
  readonly schema: Brought['schema'];
}

const LOOK = { statementMs: 15_000 };
/** As many as a person reads; the others are counted. */
const MOST_PROBLEMS = 100;
/** Reading and validating one archive takes seconds: none is begun that could not be finished. */
const TIME_FOR_ONE_MS = 15_000;

/** A dry run; or records the request and, when no second person has to confirm it, carries it out. */
export async function restoreArchived(services: Services, order: RestoreOrder): Promise<RestoreResult> {
  const archives = await found(services, order);
  await refuseWithoutRights(services, order, archives);
  if (order.dryRun || services.settings.dryRun) return carriedOut(services, order, order, archives, null);
  const rows = archives.reduce((sum, a) => sum + a.wanted, 0);
  const record = await requestRestore(services, order, { ...order, by: order, found: rows });
  if (record.state === 'requested') return waiting(record, archives.length);
  return carriedOut(services, order, order, archives, record.id);
}

/** By a second operator; then carries it out. */
export async function confirmArchived(
  services: Services,
  call: RestoreCall & { readonly id: string; readonly reason: string },
): Promise<RestoreResult> {
  refuseOutsideProduction(services);
  const record = await confirmRestore(services, call.id, call.reason, call);
  return carriedOut(services, record, call, await found(services, record), record.id);
}

/** Continues one that was interrupted. */
export async function resumeArchived(
  services: Services,
  call: RestoreCall & { readonly id: string },
): Promise<RestoreResult> {
  refuseOutsideProduction(services);
  const record = await restoreOf(services, call.id);
  if (!['confirmed', 'open'].includes(record.state))
    throw new RequestError(409, 'wrong_state', `this restore is ${record.state}`, 'id');
  return carriedOut(services, record, call, await found(services, record), record.id);
}

/** Where the policy marks rows first, the same door takes the mark away within the grace period. */
export async function restoreOne(
  services: Services,
  order: RestoreOrder & { readonly key: Written },
): Promise<RestoreResult | { readonly entry: number; readonly subject: string }> {
  const policy = services.policies.find((p) => p.name === order.policy);
  if (policy && strategyOf(policy).grace !== null) {
    if (order.dryRun) {
      throw new RequestError(
        422,
        'no_dry_run',
        `"${policy.name}" marks rows: one mark is taken away, and there is nothing to look at before; ask without dryRun`,
        'dryRun',
      );
    }
    const { actor: operator, token = '', reason } = order;
    return restoreMarked({ services, operator, token, reason }, { policy: policy.name, key: order.key });
  }
  return restoreArchived(services, order);
}

async function found(services: Services, wish: Wish): Promise<readonly Archive[]> {
  const archives = await askOne(services.database, archivesOf(wish), LOOK);
  if (archives.length > 0) return archives;
  const expired = await askOne(services.database, expiredOf(wish), LOOK);
  throw new RequestError(
    404,
    expired > 0 ? 'archive_expired' : 'not_archived',
    expired > 0
      ? 'it was archived, and the period of the archive is over'
      : 'no archive holds this: it was never deleted by a policy that archives, or it has been erased',
    wish.scope,
  );
}

function policyOf(services: Services, { policy }: Archive): Policy {
  const found = services.policies.find((p) => p.name === policy);
  if (found) return found;
  throw new RequestError(
    422,
    'unknown_policy',
    `the policy "${policy}" that archived it is not declared any more; declare it again, paused, to restore from its archives`,
    'policy',
  );
}

/** The operators' login needs its own right to fill each table: granted by the owner of the table, by nobody else. */
async function refuseWithoutRights(services: Services, by: By, archives: readonly Archive[]): Promise<void> {
  const policies = new Set(archives.map((a) => policyOf(services, a)));
  const tables = [...policies].flatMap((p) => treeOf(p).places.map(({ table }) => table));
  const lacking = await askAs(services, by, rightsTo(tables), { ...LOOK, readOnly: true });
  if (lacking.length === 0) return;
  throw new RequestError(
    409,
    'no_right',
    `the operators' login may not fill these tables, so nothing was restored. As their owner: ${lacking.join(' ')}`,
  );
}

async function carriedOut(
  services: Services,
  wish: Wish,
  call: RestoreCall,
  archives: readonly Archive[],
  restore: string | null,
): Promise<RestoreResult> {
  const { blob, backoff } = services;
  if (blob === undefined)
    throw new RequestError(409, 'no_store', 'archives lie in the store: set BLOB_READ_WRITE_TOKEN');
  const log = services.log.child({ script: 'restore', restore });
  const done = restore === null ? [] : await throughWith(services, restore);
  const sum = new Sum(done.map((d) => d.counts));
  let left = archives.filter((a) => !done.some((d) => d.archive === a.id));
  for (const archive of left) {
    if (call.deadline.getTime() - services.clock().getTime() < TIME_FOR_ONE_MS) break;
    const policy = policyOf(services, archive);
    const of = { services, store: { blob, backoff }, policy, wish, by: call, restore };
    const brought = await bringBack(of, archive).catch((error: unknown) => damagedOf(archive, error));
    sum.add(brought);
    log.info({ event: 'archive.restored', archive: archive.id, ...brought.counts }, 'through an archive');
    if (!brought.isThrough) continue;
    if (restore !== null)
      await noteRestored(services, call, { restore, archive: archive.id, counts: brought.counts });
    left = left.filter((a) => a !== archive);
  }
  const expired = await askOne(services.database, expiredOf(wish), LOOK);
  if (left.length === 0 && restore !== null) await finishRestore(services, call, restore);
  return {
    id: restore,
    mode: restore === null ? 'dry_run' : 'restore',
    outcome: left.length === 0 ? 'succeeded' : 'interrupted',
    archives: archives.length,
    expired,
    ...sum.result,
    message: inWords(sum.result.counts, left.length, restore),
  };
}

/** Of an archive that is not what was written nothing comes back; the others do. */
function damagedOf({ id }: Archive, error: unknown): Brought {
  if (!(error instanceof ArchiveError)) throw error;
  const problem = { table: '(archive)', key: id, why: error.message };
  return { counts: { archives_damaged: 1 }, problems: [problem], schema: [], isThrough: false };
}

class Sum {
  readonly #counts: Counts = {};
  readonly #problems: Brought['problems'][number][] = [];
  readonly #schema = new Map<string, Brought['schema'][number]>();

  constructor(before: readonly Counts[]) {
    for (const counts of before) this.#count(counts);
  }

  add({ counts, problems, schema }: Brought): void {
    this.#count(counts);
    this.#problems.push(...problems);
    for (const changes of schema) this.#schema.set(changes.table, changes);
  }

  #count(counts: Counts): void {
    for (const [what, n] of Object.entries(counts)) this.#counts[what] = (this.#counts[what] ?? 0) + n;
  }

  get result(): Pick<RestoreResult, 'counts' | 'problems' | 'problemsLeftOut' | 'schema'> {
    return {
      counts: this.#counts,
      problems: this.#problems.slice(0, MOST_PROBLEMS),
      problemsLeftOut: Math.max(0, this.#problems.length - MOST_PROBLEMS),
      schema: [...this.#schema.values()],
    };
  }
}

function inWords(counts: Counts, left: number, restore: string | null): string {
  const n = (what: string) => counts[what] ?? 0;
  const not =
    n('conflict') + n('altered') + n('refused') + n('parent') + n('files_conflict') + n('files_missing');
  const parts = [
    restore === null
      ? `dry run: nothing was written; ${n('restored')} rows would be restored`
      : `${n('restored')} rows and ${n('files_restored')} files were restored`,
    n('there') > 0 && `${n('there')} rows are there already`,
    not > 0 && `${not} cannot be restored and were left as they are (see problems)`,
    n('erased') > 0 && `${n('erased')} were erased and stay so`,
    left > 0 &&
      `${left} archives are left (damaged, out of time, or their files are being deleted right now): ask again with {"action":"resume","id":"${restore}"}`,
  ];
  return parts.filter((p) => p !== false).join('; ');
}

const waiting = (record: RestoreRecord, archives: number): RestoreResult => ({
  id: record.id,
  mode: 'restore',
  outcome: 'waiting',
  message: `nothing was restored yet: it reaches ${record.rows_found} rows, so an operator other than ${record.requested_by} confirms it with {"action":"confirm","id":"${record.id}","reason":"…"}`,
  archives,
  expired: 0,
  counts: {},
  problems: [],
  problemsLeftOut: 0,
  schema: [],
});

export function refuseOutsideProduction({ settings }: Services): void {
  if (!settings.dryRun) return;
  throw new RequestError(
    409,
    'dry_run',
    `only dry runs here (${settings.dryRunBecause}): nothing was changed`,
    'action',
  );
}
