/**
 * Sends what the outbox of alerts holds. A claim moves the next attempt ahead, so an alert is in one pair of
 * hands; what a channel did not take, or a claimer that died had in hand, is tried again. A recovery waits for
 * the news it ends.
 */

import type { Context } from '../context';
import type { Row, Statement } from '../database';
import { codeOf } from '../errors';
import { askRows } from '../session';
import { type Alert, sendersOf } from './channels';
import type { Channel } from './incidents';

/** At once, behind one run. */
const MOST = 20;
/** Longer than all channels together may take. */
const LEASE_SECONDS = 60;
/** From a minute to an hour apart: twenty attempts are most of a day. */
const MOST_ATTEMPTS = 20;
const FIRST_RETRY_SECONDS = 60;
const LAST_RETRY_SECONDS = 3_600;
const STATEMENT_MS = 5_000;

export interface Delivered {
  readonly sent: number;
  readonly failed: number;
}

const claim = (at: string): Statement => ({
  text: `update retention.alert a set attempts = a.attempts + 1,
      next_attempt_at = $1::timestamptz + make_interval(secs => ${LEASE_SECONDS})
    from retention.incident i
    where i.id = a.incident and a.id in (
      select d.id from retention.alert d where d.state = 'pending' and d.next_attempt_at <= $1::timestamptz
        and (d.moment <> 'recovered' or not exists (select 1 from retention.alert b where b.incident = d.incident
          and b.channel = d.channel and b.state = 'pending' and b.moment <> 'recovered'))
      order by d.next_attempt_at, d.id limit ${MOST} for update skip locked)
    returning a.id::text, a.incident::text, a.channel, a.moment, a.attempts, i.cause, i.message,
      to_char(i.opened_at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as opened_at,
      to_char(i.recovered_at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as recovered_at`,
  params: [at],
});

/** Counts only while nobody has claimed it since. */
const settle = (
  ends: readonly { id: string; attempts: number; error: string | null }[],
  at: string,
): Statement => ({
  text: `update retention.alert a set
      state = case when e.error is null then 'sent' when a.attempts >= ${MOST_ATTEMPTS} then 'dead' else 'pending' end,
      sent_at = case when e.error is null then $2::timestamptz end, error = e.error,
      next_attempt_at = $2::timestamptz + make_interval(secs =>
        least(${FIRST_RETRY_SECONDS} * 2.0 ^ (a.attempts - 1), ${LAST_RETRY_SECONDS}))
    from jsonb_to_recordset($1::jsonb) e(id uuid, attempts int, error text)
    where a.id = e.id and a.attempts = e.attempts and a.state = 'pending' returning a.state, a.channel, a.error`,
  params: [JSON.stringify(ends), at],
});

/** Two requests; one when nothing is due. Never throws for a channel. */
export async function deliver(context: Context): Promise<Delivered> {
  const { database } = context;
  const limits = { statementMs: STATEMENT_MS, lockMs: STATEMENT_MS };
  const [due = []] = await askRows(database, [claim(context.clock().toISOString())], limits);
  if (due.length === 0) return { sent: 0, failed: 0 };
  const senders = sendersOf(context.settings);
  const ends = await Promise.all(
    due.map(async (row) => {
      const end = { id: String(row.id), attempts: Number(row.attempts) };
      const send = senders[row.channel as Channel];
      if (!send) return { ...end, error: 'channel.unset' };
      try {
        await send(alertOf(row, context.settings.environment));
        return { ...end, error: null };
      } catch (error) {
        return { ...end, error: codeOf(error) };
      }
    }),
  );
  const [settled = []] = await askRows(database, [settle(ends, context.clock().toISOString())], limits);
  for (const { state, channel, error } of settled.filter((r) => r.state !== 'sent')) {
    const level = state === 'dead' ? 'error' : 'warn';
    context.log[level](
      { event: 'alert.undelivered', channel, error_code: error, state },
      'an alert was not taken',
    );
  }
  const failed = ends.filter((e) => e.error !== null).length;
  return { sent: ends.length - failed, failed };
}

const alertOf = (row: Row, environment: string): Alert => ({
  id: String(row.id),
  incident: String(row.incident),
  cause: String(row.cause),
  moment: row.moment as Alert['moment'],
  message: String(row.message),
  openedAt: String(row.opened_at),
  recoveredAt: row.recovered_at === null ? null : String(row.recovered_at),
  environment,
});
