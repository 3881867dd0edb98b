/**
 * Compares the store with the rows, both ways: files below the declared prefixes that no row names, and rows
 * whose file is not there. Page by page, its cursor in Redis, so a scan may take many calls. Reports only, until
 * RECONCILE_DELETE=true: then an orphan seen in two scans and older than the grace period is handed to the
 * outbox, within a cap, which asks once more under locks before it deletes.
 */
import { BlobError, DatabaseError, LapseError, RedisError } from '../../platform/errors';
import type { JobResult } from '../../platform/job';
import type { Ending, Outcome } from '../../platform/outcome';
import type { Services } from '../../services';
import { Scan, type ScanRequest, skipped } from './scan';

export interface ReconcileRequest extends ScanRequest {
  readonly correlationId: string;
  readonly dryRun: boolean;
}

export interface ReconcileResult extends JobResult {
  readonly outcome: Outcome;
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

export async function reconcile(services: Services, request: ReconcileRequest): Promise<ReconcileResult> {
  const log = services.log.child({ correlation_id: request.correlationId, script: 'blob-reconcile' });
  const scan = new Scan(services, request, log);
  const ending = await compared(scan, services, request);
  const mode = request.mayDelete ? 'delete' : 'report';
  const nextLook = nextScan(ending);
  const result: ReconcileResult = { ...ending, ...nextLook, scan: scan.id, mode, ...scan.sums };
  log[ending.outcome === 'errored' ? 'error' : 'info'](
    { event: 'blob.reconciled', ...result },
    ending.message,
  );
  return result;
}

/** A scan that has ended is the day's; what was not compared for want of time, or of an answer, is continued by the next call. */
export function nextScan({
  outcome,
  reason,
}: Pick<Ending<string>, 'outcome' | 'reason'>): Pick<JobResult, 'nextLook'> {
  if (outcome === 'succeeded' || reason === 'recent') return { nextLook: 'daily' };
  return reason === 'no_files' ? { nextLook: null } : {};
}

async function compared(scan: Scan, { blob }: Services, request: ReconcileRequest): Promise<Ending<string>> {
  if (request.dryRun) return skipped('dry_run', 'dry run: nothing was compared or recorded');
  if (scan.isEmpty) return skipped('no_files', 'no policy names files');
  if (!blob) {
    const message = 'BLOB_READ_WRITE_TOKEN is not set: there is no store to compare with';
    return { outcome: 'errored', reason: 'settings', message };
  }
  return scan.compare(blob).catch(endingOf);
}

/** Throws what no service said. */
function endingOf(error: unknown): Ending<string> {
  if (!(error instanceof LapseError)) throw error;
  const { code, message } = error;
  const mayPass =
    (error instanceof BlobError && error.failure === 'transient') ||
    (error instanceof DatabaseError && error.failure !== 'fatal' && error.failure !== 'poisoned');
  return mayPass
    ? { outcome: 'interrupted', reason: code, message: `${message}; the next call continues from the cursor` }
    : { outcome: 'errored', reason: error instanceof RedisError ? 'redis' : code, message };
}
