/**
 * Compares the store with the rows, both ways: files below the declared prefixes that no row names, and rows
 * whose file is not there. Page by page, its cursor in Redis, so a scan may take many calls. Reports only, until
 * RECONCILE_DELETE=true: then an orphan seen in two scans and older than the grace period is handed to the
 * outbox, within a cap, which asks once more under locks before it deletes.
 */
import { randomUUID } from 'node:crypto';
import { type Blob, hostsOf } from '../../platform/blob';
import { BlobError, DatabaseError, LapseError, RedisError } from '../../platform/errors';
import type { Policy } from '../../policies/contract';
import type { Services } from '../../services';
import {
  beginScan,
  endListing,
  endScan,
  type FileSource,
  type NamedFile,
  nextNamed,
  noteChecked,
  noteListed,
  queueRipe,
  scannedSince,
} from '../finding';
import { referencesOf } from '../references';
import { readScan, type ScanCursor, saveScan } from './cursor';

export interface ReconcileRequest {
  readonly correlationId: string;
  readonly deadline: Date;
  readonly dryRun: boolean;
  /** RECONCILE_DELETE: else nothing is ever queued. */
  readonly mayDelete: boolean;
  /** The cron calls often, so that a large scan goes on; a new one it begins once a day. */
  readonly trigger: 'cron' | 'manual';
}

export interface ReconcileResult {
  readonly outcome: 'succeeded' | 'interrupted' | 'skipped' | 'errored';
  readonly reason: string | null;
  readonly message: string;
  readonly scan: string | null;
  readonly mode: 'report' | 'delete';
  /** Of this call. */
  readonly listed: number;
  readonly orphans: number;
  readonly checked: number;
  readonly missing: number;
  readonly queued: number;
  readonly queuedBytes: number;
}

/** The store's own maximum. */
const LIST_PAGE = 1_000;
/** Rows a request, and the looks at the store that follow it. */
const CHECK_PAGE = 200;
/** Looks at once: hundreds a second, far from any limit known. */
const CHECKS_AT_ONCE = 16;
/** An upload is followed by its row within minutes, a restore within hours: a day is far from both. */
const GRACE_SECONDS = 86_400;
/** A scan that lost its cursor begins anew at once; half a day is a second opinion. */
const APART_SECONDS = 12 * 3_600;
/** More orphans than this in one scan mean something is wrong with us rather than with them. */
const MOST_PER_SCAN = 1_000;
/** A day, less the hours over which the cron calls. */
const BETWEEN_SCANS_MS = 20 * 3_600_000;
const CLOSING_MS = 5_000;

/** Declared with the columns that name files: nothing outside is ever listed. */
export const prefixesOf = (policies: readonly Policy[]): string[] =>
  [
    ...new Set(
      policies.flatMap((p) => [p, ...p.dependants]).flatMap((t) => t.files.flatMap((f) => f.prefix ?? [])),
    ),
  ]
    .sort()
    // A prefix below another one is listed with it.
    .filter((prefix, _, all) => !all.some((other) => other !== prefix && prefix.startsWith(other)));

const sourcesOf = (policies: readonly Policy[]): FileSource[] => {
  const all = policies
    .flatMap((p) => [p, ...p.dependants])
    .flatMap((t) => t.files.map((f) => ({ table: t.table, key: t.key, column: f.column })));
  return [...new Map(all.map((s) => [JSON.stringify([s.table, s.column]), s])).values()];
};

export async function reconcile(services: Services, request: ReconcileRequest): Promise<ReconcileResult> {
  const log = services.log.child({ correlation_id: request.correlationId, script: 'blob-reconcile' });
  const mode = request.mayDelete ? 'delete' : 'report';
  const sums = { listed: 0, orphans: 0, checked: 0, missing: 0, queued: 0, queuedBytes: 0 };
  let scan: string | null = null;
  const answer = (
    outcome: ReconcileResult['outcome'],
    reason: string | null,
    message: string,
  ): ReconcileResult => {
    const result = { outcome, reason, message, scan, mode, ...sums } as const;
    log[outcome === 'errored' ? 'error' : 'info']({ event: 'blob.reconciled', ...result }, message);
    return result;
  };
  if (request.dryRun) return answer('skipped', 'dry_run', 'dry run: nothing was compared or recorded');
  const prefixes = prefixesOf(services.policies);
  const sources = sourcesOf(services.policies);
  if (sources.length === 0) return answer('skipped', 'no_files', 'no policy names files');
  if (!services.blob)
    return answer(
      'errored',
      'settings',
      'BLOB_READ_WRITE_TOKEN is not set: there is no store to compare with',
    );
  const { blob } = services;
  const references = referencesOf(services.policies);
  const outOfTime = () => request.deadline.getTime() - services.clock().getTime() < CLOSING_MS;
  const goesOn = () => answer('interrupted', 'time', 'out of time; the next call goes on from the cursor');
  try {
    const saved = await readScan(services.redis);
    const dayAgo = new Date(services.clock().getTime() - BETWEEN_SCANS_MS);
    if (!saved && request.trigger === 'cron' && (await scannedSince(services.database, dayAgo))) {
      return answer('skipped', 'recent', 'the last scan is less than a day old');
    }
    let cursor: ScanCursor = saved ?? {
      id: randomUUID(),
      at: services.clock().toISOString(),
      stage: 'list',
      index: 0,
      after: null,
    };
    scan = cursor.id;
    const about = { id: cursor.id, at: new Date(cursor.at) };
    const move = async (to: Partial<ScanCursor>) => {
      cursor = { ...cursor, ...to };
      await saveScan(services.redis, cursor);
    };
    if (!saved) {
      await beginScan(services.database, about, mode);
      await move({});
    }
    while (cursor.stage === 'list' && cursor.index < prefixes.length) {
      if (outOfTime()) return goesOn();
      const page = await blob.list({
        prefix: prefixes[cursor.index]!,
        cursor: cursor.after,
        limit: LIST_PAGE,
      });
      if (page.files.length > 0) {
        sums.orphans += await noteListed(services.database, about, page.files, references);
        sums.listed += page.files.length;
      }
      await move(page.cursor === null ? { index: cursor.index + 1, after: null } : { after: page.cursor });
    }
    if (cursor.stage === 'list') {
      await endListing(services.database, about);
      if (request.mayDelete) {
        const ripe = { graceSeconds: GRACE_SECONDS, apartSeconds: APART_SECONDS, cap: MOST_PER_SCAN };
        const actor = request.trigger === 'cron' ? 'cron' : 'manual';
        const done = await queueRipe(services.database, about, { ...ripe, folders: prefixes, actor });
        if (done === null)
          log.warn({ event: 'blob.orphans_stopped' }, 'everything is stopped: no orphan was queued');
        const { queued, bytes } = done ?? { queued: 0, bytes: 0 };
        sums.queued = queued;
        sums.queuedBytes = bytes;
        if (queued === MOST_PER_SCAN)
          log.warn(
            { event: 'blob.orphans_capped', queued },
            'more orphans than one scan may queue: look at why before raising it',
          );
      }
      await move({ stage: 'check', index: 0, after: null });
    }
    while (cursor.index < sources.length) {
      if (outOfTime()) return goesOn();
      const source = sources[cursor.index]!;
      const rows = await nextNamed(
        services.database,
        source,
        cursor.after === null ? null : (JSON.parse(cursor.after) as string[]),
        CHECK_PAGE,
        hostsOf(blob.bases),
      );
      const { missing, present } = await lookAt(blob, rows);
      sums.missing += await noteChecked(services.database, about, source, missing, present);
      sums.checked += rows.length;
      await move(
        rows.length < CHECK_PAGE
          ? { index: cursor.index + 1, after: null }
          : { after: JSON.stringify(rows.at(-1)!.position) },
      );
    }
    await endScan(services.database, about, services.clock());
    await saveScan(services.redis, null);
    return answer('succeeded', null, 'everything was compared');
  } catch (error) {
    if (!(error instanceof LapseError)) throw error;
    const passing =
      (error instanceof BlobError && error.failure === 'transient') ||
      (error instanceof DatabaseError && error.failure !== 'fatal' && error.failure !== 'poisoned');
    if (passing)
      return answer('interrupted', error.code, `${error.message}; the next call goes on from the cursor`);
    return answer('errored', error instanceof RedisError ? 'redis' : error.code, error.message);
  }
}

async function lookAt(
  blob: Blob,
  rows: readonly NamedFile[],
): Promise<{ missing: NamedFile[]; present: NamedFile[] }> {
  const missing: NamedFile[] = [];
  const present: NamedFile[] = [];
  let next = 0;
  const lane = async () => {
    while (next < rows.length) {
      const row = rows[next++]!;
      // A name at another host, or one that cannot be read, says nothing about this store.
      if (row.path === null || (await blob.head(row.path))) present.push(row);
      else missing.push(row);
    }
  };
  await Promise.all(Array.from({ length: CHECKS_AT_ONCE }, lane));
  return { missing, present };
}
