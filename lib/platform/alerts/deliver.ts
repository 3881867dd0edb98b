/**
 * Sends what the outbox of alerts holds. A claim moves the next attempt ahead, so one instance
 * sends it; what a channel did not take, or a claiming instance that died did not send, is tried again. A recovery
 * waits for the alert it ends.
 */
import { z } from 'zod';
import type { Context } from '../context';
import { codeOf } from '../errors';
import { query, rows } from '../query';
import { askOne } from '../session';
import { constant, sql } from '../sql';
import { type Alert, sendersOf } from './channels';
import type { Channel } from './incidents';

/** Sent after one run at most. */
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

const LIMITS = { statementMs: STATEMENT_MS, lockMs: STATEMENT_MS };

const Due = z.object({
  id: z.string(),
  incident: z.string(),
  channel: z.string(),
  moment: z.string(),
  attempts: z.number(),
  cause: z.string(),
  message: z.string(),
  opened_at: z.string(),
  recovered_at: z.string().nullable(),
});
type Due = z.infer<typeof Due>;
const Settled = z.object({ state: z.string(), channel: z.string(), error: z.string().nullable() });

const claimAlerts = (at: string) =>
  query(
    sql`update retention.alert a set attempts = a.attempts + 1,
      next_attempt_at = ${at}::timestamptz + make_interval(secs => ${constant(LEASE_SECONDS)})
    from retention.incident i
    where i.id = a.incident and a.id in (
      select d.id from retention.alert d where d.state = 'pending' and d.next_attempt_at <= ${at}::timestamptz
        and (d.moment <> 'recovered' or not exists (select 1 from retention.alert b where b.incident = d.incident
          and b.channel = d.channel and b.state = 'pending' and b.moment <> 'recovered'))
      order by d.next_attempt_at, d.id limit ${constant(MOST)} for update skip locked)
    returning a.id::text, a.incident::text, a.channel, a.moment, a.attempts, i.cause, i.message,
      to_char(i.opened_at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as opened_at,
      to_char(i.recovered_at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as recovered_at`,
    rows(Due),
  );

/** Counts only if no other instance has claimed it since. */
const settle = (ends: readonly { id: string; attempts: number; error: string | null }[], at: string) =>
  query(
    sql`update retention.alert a set
      state = case when e.error is null then 'sent' when a.attempts >= ${constant(MOST_ATTEMPTS)} then 'dead' else 'pending' end,
      sent_at = case when e.error is null then ${at}::timestamptz end, error = e.error,
      next_attempt_at = ${at}::timestamptz + make_interval(secs =>
        least(${constant(FIRST_RETRY_SECONDS)} * 2.0 ^ (a.attempts - 1), ${constant(LAST_RETRY_SECONDS)}))
    from jsonb_to_recordset(${JSON.stringify(ends)}::jsonb) e(id uuid, attempts int, error text)
    where a.id = e.id and a.attempts = e.attempts and a.state = 'pending' returning a.state, a.channel, a.error`,
    rows(Settled),
  );

/** Two requests; one when nothing is due. Never throws for a channel. */
export async function deliver(context: Context): Promise<Delivered> {
  const { database } = context;
  const due = await askOne(database, claimAlerts(context.clock().toISOString()), LIMITS);
  if (due.length === 0) return { sent: 0, failed: 0 };
  const senders = sendersOf(context.settings);
  const ends = await Promise.all(
    due.map(async (alert) => {
      const end = { id: alert.id, attempts: alert.attempts };
      const send = senders[alert.channel as Channel];
      if (!send) return { ...end, error: 'channel.unset' };
      try {
        await send(alertOf(alert, context.settings.environment));
        return { ...end, error: null };
      } catch (error) {
        return { ...end, error: codeOf(error) };
      }
    }),
  );
  const settled = await askOne(database, settle(ends, context.clock().toISOString()), LIMITS);
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

const alertOf = (due: Due, environment: string): Alert => ({
  id: due.id,
  incident: due.incident,
  cause: due.cause,
  moment: due.moment as Alert['moment'],
  message: due.message,
  openedAt: due.opened_at,
  recoveredAt: due.recovered_at,
  environment,
});
