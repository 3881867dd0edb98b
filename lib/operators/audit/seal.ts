/**
 * The nightly look at the audit chain and at what waits for a person: seals what an older release left unsealed, verifies the whole chain, and
 * writes its signed head to the log, which the database's owner cannot rewrite. A broken chain raises an alert.
 */

import { alert, causeOf } from '../../platform/alerts/guard';
import { report } from '../../platform/alerts/incidents';
import type { JobOrder, JobResult } from '../../platform/job';
import { answerTimeoutMs, session } from '../../platform/session';
import type { Services } from '../../services';
import { type Waiting, watchLetters } from '../overdue';
import { type ExportedHead, exportHead } from './head';
import { type Verification, verify } from './verify';

/** A run is sealed by its own end; more than these wait only after an upgrade, and then for a few nights. */
const MOST_RUNS = 200;
/** Hashing the receipts of ten million rows took 3 s. */
const STATEMENT_MS = 30_000;
/** Kept back for the answer. */
const CLOSING_MS = 5_000;

export async function sealAudit(
  services: Services,
  order: JobOrder,
): Promise<
  JobResult & { sealed: number; verification: Verification; head: ExportedHead | null; waiting: Waiting[] }
> {
  const log = services.log.child({ correlation_id: order.correlationId, script: 'audit-seal' });
  const inTime = () => order.deadline.getTime() - services.clock().getTime() > CLOSING_MS;
  const sealed = order.dryRun ? 0 : await sealLeftovers(services, inTime);
  const verification = await verify(services.database, { inTime });
  const head = await exportHead(services);
  const waiting = await watchLetters({ ...services, log }, order.correlationId);
  const { entries, runs, receipts, problems, complete } = verification;
  const counts = `${entries} entries, ${runs} runs, ${receipts} receipts`;
  log.info(
    { event: 'audit.head', head: head?.text ?? null, signature: head?.signature ?? null },
    'head of the audit chain',
  );
  const ending: JobResult =
    problems.length > 0
      ? {
          outcome: 'errored',
          reason: 'audit_broken',
          message: `the audit chain is broken: ${problems[0]?.message}`,
        }
      : complete
        ? { outcome: 'succeeded', reason: null, message: `the audit chain is whole: ${counts}` }
        : { outcome: 'interrupted', reason: 'time', message: `whole as far as there was time: ${counts}` };
  if (problems.length > 0) {
    await alert({ ...services, log }, 'audit.broken', { correlationId: order.correlationId }, ending.message);
  } else {
    log.info({ event: 'audit.verified', entries, runs, receipts, complete }, ending.message);
    if (complete) await report({ ...services, log }, { over: [causeOf('audit.broken')] });
  }
  return { ...ending, sealed, verification, head, waiting };
}

async function sealLeftovers(services: Services, inTime: () => boolean): Promise<number> {
  const ask = (text: string, params: string[]) =>
    services.database.transaction([session(STATEMENT_MS, 10_000), { text, params }], {
      timeoutMs: answerTimeoutMs(STATEMENT_MS),
    });
  const [, waiting] = await ask(
    `select id::text from retention.run where mode = 'delete' and finished_at is not null and sealed_at is null
      order by finished_at limit ${MOST_RUNS}`,
    [],
  );
  let sealed = 0;
  // One transaction each: every run waits for its own policy only.
  for (const run of waiting ?? []) {
    if (!inTime()) break;
    const [, rows] = await ask('select retention.seal_run($1::uuid) as sealed', [String(run.id)]);
    if (rows?.[0]?.sealed) sealed += 1;
  }
  return sealed;
}
