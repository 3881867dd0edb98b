/**
 * Dead letters that are still open: of rows and of files, by the age of the oldest. Past three days they
 * are an incident until they are retried with success or discarded by an operator.
 */
import { z } from 'zod';
import { alert, causeOf } from '../platform/alerts/guard';
import { reportIncidents } from '../platform/alerts/incidents';
import { oneRow, type Query, query } from '../platform/query';
import { askOne } from '../platform/session';
import { sql } from '../platform/sql';
import type { Services } from '../services';

/** A nightly run has met it three times, and an operator has had a working day to look. */
const LETTER_SLA_SECONDS = 3 * 86_400;
const STATEMENT_MS = 5_000;

export interface Waiting {
  readonly kind: 'row' | 'file';
  readonly open: number;
  readonly oldestSeconds: number | null;
  readonly sla: 'within_sla' | 'breached';
}

const waitingOf = (kind: Waiting['kind'], open: number, oldestSeconds: number | null): Waiting => ({
  kind,
  open,
  oldestSeconds,
  sla: (oldestSeconds ?? 0) > LETTER_SLA_SECONDS ? 'breached' : 'within_sla',
});

const Letters = z
  .object({
    rows: z.number(),
    oldest_row: z.number().nullable(),
    files: z.number(),
    oldest_file: z.number().nullable(),
    refused: z.number(),
  })
  .transform((l) => ({
    waiting: [waitingOf('row', l.rows, l.oldest_row), waitingOf('file', l.files, l.oldest_file)],
    /** Of the files: dead because of their name. */
    refused: l.refused,
  }));
type Letters = z.output<typeof Letters>;

const secondsSince = (now: Date) =>
  sql`extract(epoch from ${now.toISOString()}::timestamptz - min(created_at))::float8`;

export const waitingLetters = (now: Date): Query<Letters> =>
  query(
    sql`select * from (
        select count(*)::int as rows, ${secondsSince(now)} as oldest_row from retention.dead_letter where state = 'open'
      ) r cross join (
        select count(*)::int as files, ${secondsSince(now)} as oldest_file,
          count(*) filter (where error_class like 'name.%')::int as refused from retention.outbox where state = 'dead'
      ) f`,
    oneRow(Letters),
  );

/** Returns what waits; what waits too long is one incident a kind. */
export async function watchLetters(services: Services, correlationId: string): Promise<Waiting[]> {
  const limits = { statementMs: STATEMENT_MS, readOnly: true };
  const { waiting, refused } = await askOne(services.database, waitingLetters(services.clock()), limits);
  for (const w of waiting.filter((x) => x.sla === 'breached')) {
    const days = Math.floor((w.oldestSeconds ?? 0) / 86_400);
    await alert(
      services,
      'letters.overdue',
      { of: `${w.kind}s`, correlationId },
      `${w.open} dead letters of ${w.kind}s wait for a person, the oldest for ${days} days`,
    );
  }
  const inTime = waiting.filter((w) => w.sla === 'within_sla');
  await reportIncidents(services, {
    over: [
      ...inTime.map((w) => causeOf('letters.overdue', `${w.kind}s`)),
      ...(refused === 0 ? [causeOf('files.refused', 'outbox')] : []),
    ],
  });
  return waiting;
}
