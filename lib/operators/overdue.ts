/**
 * Dead letters nobody has dealt with: of rows and of files, by the age of the oldest. Past three days they
 * are an incident until they are retried with success or discarded by an operator.
 */

import { alert, causeOf } from '../platform/alerts/guard';
import { report } from '../platform/alerts/incidents';
import type { Row, Statement } from '../platform/database';
import { askRows } from '../platform/session';
import type { Services } from '../services';

/** A nightly run has met it three times, and somebody has had a working day to look. */
const LETTER_SLA_SECONDS = 3 * 86_400;
const STATEMENT_MS = 5_000;

export interface Waiting {
  readonly kind: 'row' | 'file';
  readonly open: number;
  readonly oldestSeconds: number | null;
  readonly sla: 'within_sla' | 'breached';
}

export const waitingLetters = (now: Date): Statement => ({
  text: `select 'row' as kind, count(*)::int as open, extract(epoch from $1::timestamptz - min(created_at))::float8 as oldest_seconds
      from retention.dead_letter where state = 'open'
    union all select 'file', count(*)::int, extract(epoch from $1::timestamptz - min(created_at))::float8
      from retention.outbox where state = 'dead'
    union all select 'refused', count(*)::int, null from retention.outbox where state = 'dead' and error_class like 'name.%'`,
  params: [now.toISOString()],
});

export const readWaiting = (rows: readonly Row[] | undefined): Waiting[] =>
  (rows ?? [])
    .filter((r) => r.kind !== 'refused')
    .map((r) => ({
      kind: r.kind === 'file' ? 'file' : 'row',
      open: Number(r.open),
      oldestSeconds: r.oldest_seconds === null ? null : Number(r.oldest_seconds),
      sla: Number(r.oldest_seconds ?? 0) > LETTER_SLA_SECONDS ? 'breached' : 'within_sla',
    }));

/** Gives what waits; what waits too long is an incident a kind. */
export async function watchLetters(services: Services, correlationId: string): Promise<Waiting[]> {
  const limits = { statementMs: STATEMENT_MS, readOnly: true };
  const [rows] = await askRows(services.database, [waitingLetters(services.clock())], limits);
  const waiting = readWaiting(rows);
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
  const isClean = (rows ?? []).every((r) => r.kind !== 'refused' || Number(r.open) === 0);
  await report(services, {
    over: [
      ...inTime.map((w) => causeOf('letters.overdue', `${w.kind}s`)),
      ...(isClean ? [causeOf('files.refused', 'outbox')] : []),
    ],
  });
  return waiting;
}
