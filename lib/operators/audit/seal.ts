/**
 * The nightly look at the audit chain and at what waits for a person: seals what an older release left unsealed, verifies the whole chain,
 * indexes the keys of new receipts and writes its signed head to the log, which the database's owner cannot rewrite. A broken chain raises an alert.
 */
import { z } from 'zod';
import { alert, causeOf } from '../../platform/alerts/guard';
import { reportIncidents } from '../../platform/alerts/incidents';
import type { JobRequest, JobResult } from '../../platform/job';
import { type Query, query, rows } from '../../platform/query';
import { askOne } from '../../platform/session';
import { constant, sql } from '../../platform/sql';
import type { Services } from '../../services';
import { type Waiting, watchLetters } from '../overdue';
import { type ExportedHead, exportHead } from './head';
import { indexReceipts } from './receipt-index';
import { type Verification, verify } from './verify';

/** A run is sealed by its own end; more than these wait only after an upgrade, and then for a few nights. */
const MOST_RUNS = 200;
/** Hashing the receipts of ten million rows took 3 s. */
const STATEMENT_MS = 30_000;
/** For the batches of a policy under way. */
const LOCK_MS = 10_000;
/** Kept back for the answer. */
const CLOSING_MS = 5_000;

export interface SealResult extends JobResult {
  /** Runs an older release had left unsealed. */
  readonly sealed: number;
  readonly verification: Verification;
  readonly head: ExportedHead | null;
  readonly waiting: readonly Waiting[];
}

export async function sealAudit(services: Services, request: JobRequest): Promise<SealResult> {
  const log = services.log.child({ correlation_id: request.correlationId, script: 'audit-seal' });
  const inTime = () => request.deadline.getTime() - services.clock().getTime() > CLOSING_MS;
  const sealed = request.dryRun ? 0 : await sealLeftovers(services, inTime);
  const verification = await verify(services.database, { inTime });
  if (!request.dryRun) await indexReceipts(services, inTime);
  const head = await exportHead(services);
  const waiting = await watchLetters({ ...services, log }, request.correlationId);
  log.info(
    { event: 'audit.head', head: head?.text ?? null, signature: head?.signature ?? null },
    'head of the audit chain',
  );
  const ending = endingOf(verification);
  const { entries, runs, receipts, problems, complete } = verification;
  const about = { correlationId: request.correlationId };
  if (problems.length > 0) await alert({ ...services, log }, 'audit.broken', about, ending.message);
  else {
    log.info({ event: 'audit.verified', entries, runs, receipts, complete }, ending.message);
    if (complete) await reportIncidents({ ...services, log }, { over: [causeOf('audit.broken')] });
  }
  return { ...ending, sealed, verification, head, waiting };
}

function endingOf({ entries, runs, receipts, problems, complete }: Verification): JobResult {
  const [first] = problems;
  if (first) {
    return {
      outcome: 'errored',
      reason: 'audit_broken',
      message: `the audit chain is broken: ${first.message}`,
    };
  }
  const counts = `${entries} entries, ${runs} runs, ${receipts} receipts`;
  return complete
    ? {
        outcome: 'succeeded',
        reason: null,
        nextLook: 'daily',
        message: `the audit chain is intact: ${counts}`,
      }
    : {
        outcome: 'interrupted',
        reason: 'time',
        message: `intact as far as it was checked; time ran out: ${counts}`,
      };
}

const UNSEALED = query(
  sql`select id::text from retention.run where mode = 'delete' and finished_at is not null and sealed_at is null
    order by finished_at limit ${constant(MOST_RUNS)}`,
  rows(z.object({ id: z.string() })),
);

/** True when there was something to seal. */
const sealing = (run: string): Query<boolean> =>
  query(sql`select retention.seal_run(${run}::uuid) as sealed`, ([row]) => row?.sealed === true);

async function sealLeftovers(services: Services, inTime: () => boolean): Promise<number> {
  const limits = { statementMs: STATEMENT_MS, lockMs: LOCK_MS };
  let sealed = 0;
  // One transaction each: every run waits for its own policy only.
  for (const { id } of await askOne(services.database, UNSEALED, limits)) {
    if (!inTime()) break;
    if (await askOne(services.database, sealing(id), limits)) sealed += 1;
  }
  return sealed;
}
