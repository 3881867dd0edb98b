/**
 * What follows a run whose rows named files: its ARTIFACT_RETENTION_DELETE line in the log (the record itself is
 * written by the database with the end of the run), and the outbox drained while time is left. The run has
 * ended by then; nothing here can change its outcome, and what is not done is left to the outbox's own cron.
 */
import type { Logger } from 'pino';
import { codeOf } from '../platform/errors';
import { answerTimeoutMs, session } from '../platform/session';
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

async function logArtifactEvent(services: Services, runId: string, log: Logger): Promise<void> {
  const rows = await services.database.transaction(
    [
      session(5_000),
      {
        text: `select event, total_orgs::int, artifacts_deleted::text, bytes_freed::text, by_tier
          from retention.audit_event where run = $1::uuid`,
        params: [runId],
      },
    ],
    { readOnly: true, timeoutMs: answerTimeoutMs(5_000) },
  );
  const event = rows[1]?.[0];
  if (!event) return;
  log.info(
    {
      event: 'ARTIFACT_RETENTION_DELETE',
      total_orgs: Number(event.total_orgs),
      artifacts_deleted: Number(event.artifacts_deleted),
      bytes_freed: Number(event.bytes_freed),
      by_tier: event.by_tier,
    },
    `${event.artifacts_deleted} artifacts of ${event.total_orgs} organisations deleted`,
  );
}
