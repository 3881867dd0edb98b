/**
 * The daily look at Lapse's own old records (P10): each kind is blanked or taken away after its declared period, in
 * small statements. Receipts are kept longest and go only behind a signed head of the entries that sealed them;
 * without a signing key they stay forever, and the audit chain always does. A dry run changes nothing.
 */
import { z } from 'zod';
import type { JobRequest, JobResult } from '../../platform/job';
import { oneRow, query } from '../../platform/query';
import { askOne } from '../../platform/session';
import { sql } from '../../platform/sql';
import type { Services } from '../../services';
import { chainHead, signHead, trimmableHead } from '../audit/head';
import { EVIDENCE_DAYS, OWN_RECORDS } from './periods';

/** Rows a statement: tens of milliseconds, whatever there is. */
const MOST_ROWS = 5_000;
/** Entries of the chain a statement: a run of a million rows has a thousand receipts behind one of them. */
const MOST_ENTRIES = 50;
const STATEMENT_MS = 15_000;
/** Kept back for one more statement and the answer. */
const CLOSING_MS = 20_000;

const Count = z.object({ n: z.coerce.number() });

export interface RecordsResult extends JobResult {
  /** Records changed or taken away, by kind; a kind of which there was nothing is left out. */
  readonly trimmed: Readonly<Record<string, number>>;
}

export async function trimOwnRecords(services: Services, request: JobRequest): Promise<RecordsResult> {
  if (request.dryRun) {
    return { outcome: 'succeeded', reason: null, message: 'dry run: no record was changed', trimmed: {} };
  }
  const inTime = () => request.deadline.getTime() - services.clock().getTime() > CLOSING_MS;
  const trimmed: Record<string, number> = {};
  for (const { kind, keepDays } of OWN_RECORDS) await trimKind(services, kind, keepDays, trimmed, inTime);
  await trimEvidence(services, trimmed, inTime);
  const sum = Object.values(trimmed).reduce((all, n) => all + n, 0);
  if (!inTime()) {
    return {
      outcome: 'interrupted',
      reason: 'time',
      message: `${sum} old records so far; the rest is next`,
      trimmed,
    };
  }
  return {
    outcome: 'succeeded',
    reason: null,
    nextLook: 'daily',
    message: `${sum} old records were taken away or blanked`,
    trimmed,
  };
}

async function trimKind(
  { database }: Services,
  kind: string,
  keepDays: number,
  trimmed: Record<string, number>,
  inTime: () => boolean,
): Promise<void> {
  while (inTime()) {
    const trimming = query(
      sql`select retention.trim_records(${kind}, ${keepDays}::int, ${MOST_ROWS}::int)::text as n`,
      oneRow(Count),
    );
    const { n } = await askOne(database, trimming, { statementMs: STATEMENT_MS });
    if (n > 0) trimmed[kind] = (trimmed[kind] ?? 0) + n;
    if (n < MOST_ROWS) return;
  }
}

/** Each part with a signed head of its own: stopped anywhere, the next job continues after the last one. */
async function trimEvidence(
  services: Services,
  trimmed: Record<string, number>,
  inTime: () => boolean,
): Promise<void> {
  if (services.settings.auditSigningKey === undefined) return;
  while (inTime()) {
    const head = await chainHead(services, trimmableHead(EVIDENCE_DAYS, MOST_ENTRIES));
    if (!head) return;
    const { text, signature, publicKey } = signHead(services, head);
    const trimming = query(
      sql`select retention.trim_receipts(${EVIDENCE_DAYS}::int, ${head.n}::bigint, ${head.hash}, ${text}, ${signature}, ${publicKey})::text as n`,
      oneRow(Count),
    );
    const { n } = await askOne(services.database, trimming, { statementMs: STATEMENT_MS });
    trimmed.receipts = (trimmed.receipts ?? 0) + n;
  }
}
