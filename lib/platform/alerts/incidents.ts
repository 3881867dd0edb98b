/**
 * Tables retention.incident and retention.alert. What is wrong is grouped by its cause: the first to see it opens
 * the incident and writes its alerts in the same statement, all others only count; so two instances never
 * alert twice, and an alert that was decided is sent even if this process dies. A recovered incident is closed once and
 * reported once.
 */
import { z } from 'zod';
import type { Context } from '../context';
import { LapseError } from '../errors';
import { WATCH_JOB } from '../jobs';
import { announceWork } from '../looks';
import { query, rows } from '../query';
import { capture } from '../sentry';
import { ask } from '../session';
import type { Settings } from '../settings';
import { sql } from '../sql';

export interface Symptom {
  /** `<event>:<policy, job or step>`; the group. */
  readonly cause: string;
  readonly severity: 'warning' | 'critical';
  /** What is wrong and what to do. No row values, no person. */
  readonly message: string;
  /** Each occurrence is news (one more order), not only the first: reported again, at most once an hour. */
  readonly again?: boolean;
}

export type Channel = 'sentry' | 'webhook' | 'email';

/** Each cause at most once. */
interface Report {
  readonly wrong?: readonly Symptom[];
  readonly over?: readonly string[];
}

const STATEMENT_MS = 5_000;
/** The statement and the wait for its locks. */
const WRITING_MS = 2 * STATEMENT_MS;

const channelsOf = (settings: Settings): Channel[] => [
  ...(settings.sentryDsn === undefined ? [] : (['sentry'] as const)),
  ...(settings.alerts.webhook === undefined ? [] : (['webhook'] as const)),
  ...(settings.alerts.email === undefined ? [] : (['email'] as const)),
];

const Raised = z.object({
  cause: z.string(),
  severity: z.string(),
  message: z.string(),
  times: z.coerce.number(),
});
const Recovered = z.object({ cause: z.string() });

/** All that is wrong now; each cause at most once in `wrong`. */
const raise = (wrong: readonly Symptom[], channels: readonly Channel[], at: string) =>
  query(
    sql`with wrong as (
      select * from jsonb_to_recordset(${JSON.stringify(wrong)}::jsonb) x(cause text, severity text, message text, again boolean)
    ), seen as (
      insert into retention.incident as i (cause, severity, message, opened_at, last_seen_at)
      select cause, severity, message, ${at}::timestamptz, ${at}::timestamptz from wrong order by cause
      on conflict (cause) where recovered_at is null do update set
        last_seen_at = greatest(i.last_seen_at, excluded.last_seen_at), times = i.times + 1, message = excluded.message,
        severity = case when i.severity = 'critical' then i.severity else excluded.severity end
      returning id, cause, severity, message, times
    ), channel as (select jsonb_array_elements_text(${JSON.stringify(channels)}::jsonb) as name
    ), told as (
      insert into retention.alert (incident, channel, moment, nth, next_attempt_at)
      select s.id, c.name, s.severity, 1, ${at}::timestamptz from seen s cross join channel c
      union all
      select s.id, c.name, 'again', s.times, greatest(${at}::timestamptz,
          (select max(a.sent_at) + interval '1 hour' from retention.alert a where a.incident = s.id and a.channel = c.name))
        from seen s join wrong w using (cause) cross join channel c
        where w.again and s.times > 1 and not exists (
          select 1 from retention.alert a where a.incident = s.id and a.channel = c.name and a.state = 'pending')
      on conflict (incident, channel, moment, nth) do nothing
    )
    select cause, severity, message, times from seen`,
    rows(Raised),
  );

/** What was open and is over. */
const recover = (causes: readonly string[], channels: readonly Channel[], at: string) =>
  query(
    sql`with ended as (
      update retention.incident set recovered_at = greatest(${at}::timestamptz, opened_at)
      where recovered_at is null and cause in (select jsonb_array_elements_text(${JSON.stringify(causes)}::jsonb))
      returning id, cause
    ), told as (
      insert into retention.alert (incident, channel, moment, next_attempt_at)
      select e.id, c, 'recovered', ${at}::timestamptz from ended e
      cross join jsonb_array_elements_text(${JSON.stringify(channels)}::jsonb) c
      on conflict (incident, channel, moment, nth) do nothing
    )
    select cause from ended`,
    rows(Recovered),
  );

/**
 * What is wrong is announced first: the watch sends it, whatever becomes of this process. What is over mostly was not
 * there, so it is announced when it was.
 */
export async function reportIncidents(context: Context, report: Report): Promise<void> {
  const announce = () =>
    announceWork(context.redis, [WATCH_JOB], new Date(context.clock().getTime() + WRITING_MS));
  const isWrong = (report.wrong ?? []).length > 0;
  if (isWrong) await announce();
  const written = await writeIncidents(context, report);
  if (written && !isWrong) await announce();
}

/**
 * One request: opens or counts what is wrong, closes what is over. Costs none when both are empty. An incident
 * that cannot be written goes to the log and straight to Sentry: nothing is worse than a silent alarm. Returns whether
 * anything was written.
 */
export async function writeIncidents(context: Context, { wrong = [], over = [] }: Report): Promise<boolean> {
  if (wrong.length === 0 && over.length === 0) return false;
  const at = context.clock().toISOString();
  const channels = channelsOf(context.settings);
  try {
    const { opened, ended } = await ask(
      context.database,
      { opened: raise(wrong, channels, at), ended: recover(over, channels, at) },
      { statementMs: STATEMENT_MS, lockMs: STATEMENT_MS },
    );
    for (const { cause, severity, message } of opened.filter((o) => o.times === 1))
      context.log.error({ event: 'incident.opened', cause, severity }, message);
    for (const { cause } of ended) context.log.info({ event: 'incident.recovered', cause }, 'it is over');
    return opened.length > 0 || ended.length > 0;
  } catch (error) {
    for (const { cause, message } of wrong) {
      context.log.error({ event: 'incident.unrecorded', cause }, message);
      capture(new LapseError(cause, message), { code: cause });
    }
    capture(error, { code: 'incident.unrecorded' });
    return false;
  }
}
