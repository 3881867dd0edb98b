/**
 * What follows a run whose rows named files: its ARTIFACT_RETENTION_DELETE line in the log (the record itself is
 * written by the database with the end of the run), and the outbox drained while time is left. The run has
 * ended by then; nothing here can change its outcome, and what is not done is left to the outbox's own cron.
 */
import type { Logger } from 'pino';
import { z } from 'zod';
import { codeOf } from '../platform/errors';
import { maybeRow, query } from '../platform/query';
import { askOne } from '../platform/session';
import { sql } from '../platform/sql';
import type { Services } from '../services';
import { type DrainResult, drainOutbox } from './drain';

export interface Finished {
  readonly policy: string;
  readonly runId: string;
  readonly filesQueued: number;
  readonly deadline: Date;
  readonly correlationId: string;
}

/** Null when this run queued no file, or the drain failed. */
export async function afterRun(services: Services, run: Finished, log: Logger): Promise<DrainResult | null> {
  try {
    if (run.policy === 'artifacts') await logArtifactEvent(services, run.runId, log);
    if (run.filesQueued === 0) return null;
    return await drainOutbox(services, {
      correlationId: run.correlationId,
      deadline: run.deadline,
      dryRun: false,
    });
  } catch (error) {
    const code = codeOf(error);
    log.warn({ event: 'outbox.left', error_code: code }, 'the files are left to the cron of the outbox');
    return null;
  }
}

const ArtifactEvent = z.object({
  total_orgs: z.number(),
  artifacts_deleted: z.coerce.number(),
  bytes_freed: z.coerce.number(),
  by_tier: z.unknown(),
});
const eventOf = (run: string) =>
  query(
    sql`select total_orgs::int, artifacts_deleted::text, bytes_freed::text, by_tier
      from retention.audit_event where run = ${run}::uuid`,
    maybeRow(ArtifactEvent),
  );

async function logArtifactEvent(services: Services, runId: string, log: Logger): Promise<void> {
  const event = await askOne(services.database, eventOf(runId), { statementMs: 5_000, readOnly: true });
  if (!event) return;
  log.info(
    { event: 'ARTIFACT_RETENTION_DELETE', ...event },
    `${event.artifacts_deleted} artifacts of ${event.total_orgs} organizations deleted`,
  );
}
