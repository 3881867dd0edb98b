/**
 * The cron of the backlog: measures each policy once an hour, keeps a total a day, and says whether it keeps up.
 * Tables retention.backlog, backlog_day and forecast; a scrape reads them and measures nothing.
 */
import { z } from 'zod';
import { legsOf } from '../../engine/statement/leg';
import { reportIncidents, type Symptom } from '../../platform/alerts/incidents';
import { codeOf, LapseError } from '../../platform/errors';
import type { JobRequest, JobResult } from '../../platform/job';
import { nothing, oneRow, query, rows } from '../../platform/query';
import { ask, askOne } from '../../platform/session';
import { constant, sql } from '../../platform/sql';
import type { Policy } from '../../policies/contract';
import { periodsOf, policyReach, withPeriods } from '../../policies/effective';
import type { Services } from '../../services';
import { expectedOf } from '../expected';
import { type Forecast, forecast, untilBehind } from './forecast';
import { COUNT_CAP, Measured, measure } from './measure';

const STATEMENT_MS = 10_000;
/** Each partition with a row that is due is asked by itself, some milliseconds each, and of a first run that may be thousands. */
const OF_PARTITIONS_MS = 30_000;
/** Days the rates are taken over. */
const DAYS = 7;
/** Kept back for the answer. */
const CLOSING_MS = 5_000;

export interface Backlog extends Forecast {
  /** Until then it cannot be behind, whatever happens; null where that is not known. */
  readonly clearUntil: Date | null;
  readonly policy: string;
  readonly waiting: number;
  readonly secondsPast: number;
  readonly arrivalsPerDay: number;
  readonly drainedPerDay: number | null;
  readonly plans: readonly Measured[];
}

export async function watchBacklog(
  services: Services,
  request: JobRequest,
): Promise<JobResult & { backlog: Backlog[]; unmeasured: string[] }> {
  const log = services.log.child({ correlation_id: request.correlationId, script: 'backlog' });
  const backlog: Backlog[] = [];
  const unmeasured: string[] = [];
  for (const policy of services.policies) {
    if (request.deadline.getTime() - services.clock().getTime() < CLOSING_MS) {
      const message = `${backlog.length} measured; the next run continues`;
      return { outcome: 'interrupted', reason: 'time', message, backlog, unmeasured };
    }
    try {
      backlog.push(await measureOne(services, policy, request.dryRun));
    } catch (error) {
      const code = codeOf(error);
      const message = error instanceof LapseError ? error.message : 'could not be measured';
      log.error({ event: 'backlog.unmeasured', policy: policy.name, error_code: code }, message);
      unmeasured.push(policy.name);
    }
  }
  for (const { policy, verdict, waiting, secondsPast, arrivalsPerDay, drainedPerDay } of backlog) {
    log.info(
      {
        event: 'backlog.measured',
        policy,
        verdict,
        waiting,
        seconds_past_cutoff: secondsPast,
        arrivals_per_day: arrivalsPerDay,
        drained_per_day: drainedPerDay,
      },
      `${policy}: ${verdict}`,
    );
  }
  if (!request.dryRun) await tell({ ...services, log }, backlog);
  const behind = backlog.filter((b) => b.verdict !== 'clear').map((b) => b.policy);
  const message = behind.length > 0 ? `behind: ${behind.join(', ')}` : `all ${backlog.length} keep up`;
  return unmeasured.length > 0
    ? {
        outcome: 'errored',
        reason: 'unmeasured',
        message: `not measured: ${unmeasured.join(', ')}; ${message}`,
        backlog,
        unmeasured,
      }
    : { outcome: 'succeeded', reason: null, message, ...nextMeasure(backlog, request), backlog, unmeasured };
}

/** The law of the backlog: the first instant at which any policy could be behind. */
export function nextMeasure(
  all: readonly Pick<Backlog, 'clearUntil'>[],
  { dryRun }: Pick<JobRequest, 'dryRun'>,
): Pick<JobResult, 'nextLook'> {
  const known = all.flatMap(({ clearUntil }) => (clearUntil ? [clearUntil.getTime()] : []));
  if (dryRun || known.length < all.length) return {};
  return { nextLook: known.length === 0 ? null : new Date(Math.min(...known)) };
}

async function measureOne(services: Services, policy: Policy, dryRun: boolean): Promise<Backlog> {
  const now = services.clock();
  const at = now.toISOString();
  const { database } = services;
  const reading = { statementMs: STATEMENT_MS, readOnly: true };
  const cooling = services.settings.guards.coolingOffSeconds;
  const { facts, days } = await ask(
    database,
    { facts: factsOf(policy, at, cooling), days: daysBefore(policy, at) },
    reading,
  );
  const effective = withPeriods(policy, facts.periods);
  const measuring = measure(effective, legsOf(effective, now, cooling), at);
  const measured = measuring
    ? await askOne(database, query(measuring, rows(Measured)), {
        ...reading,
        ...(policy.partitioned ? { statementMs: OF_PARTITIONS_MS } : {}),
        indexesOnly: true,
      })
    : [];
  // What the last drained run left before its cutoff may not go: nothing can be later than that run is past.
  const sinceDrained = facts.since_drained ?? Number.POSITIVE_INFINITY;
  const plans = measured.map((m) => ({ ...m, seconds: Math.max(0, Math.min(m.seconds ?? 0, sinceDrained)) }));
  const sum = (of: (m: Measured) => number) => plans.reduce((n, m) => n + of(m), 0);
  const waiting = sum((m) => m.waiting);
  const arriving = sum((m) => m.arriving);
  const { deleted } = facts;
  const rates = ratesOf(days, { now, arriving, deleted });
  const secondsPast = Math.max(0, ...plans.map((m) => m.seconds ?? 0));
  const { run, resume } = policy.schedule;
  const rhythm = {
    schedules: resume ? [run, resume] : [run],
    latenessSeconds: expectedOf(policy).latenessSeconds,
  };
  const seen = forecast({
    now,
    waiting,
    secondsPast,
    ...rates,
    counted: {
      waiting: plans.every((m) => m.waiting <= COUNT_CAP),
      arrivals: plans.every((m) => m.arriving <= COUNT_CAP),
    },
    ...rhythm,
  });
  const clearUntil = seen.verdict === 'clear' ? untilBehind({ now, sinceDrained, ...rhythm }) : null;
  const backlog: Backlog = {
    policy: policy.name,
    waiting,
    secondsPast,
    ...rates,
    ...seen,
    clearUntil,
    plans,
  };
  if (!dryRun) await ask(database, writes(backlog, { at, arriving, deleted }), { statementMs: STATEMENT_MS });
  return backlog;
}

const BacklogFacts = z.object({
  /** The periods that count now, by label. */
  periods: z.record(z.string(), z.number().nullable()),
  /** Rows deleted since the first run. */
  deleted: z.coerce.number(),
  /** Since a run left nothing behind; null when none ever did. */
  since_drained: z.number().nullable(),
});

const factsOf = (policy: Policy, at: string, coolingSeconds: number) =>
  query(
    sql`select e.periods,
        (select coalesce(sum(deleted), 0) from retention.deleted_total
          where policy = ${policy.name} and plan <> 'erasure')::text as deleted,
        (select extract(epoch from ${at}::timestamptz - drained_at) from retention.last_run
          where policy = ${policy.name})::float8 as since_drained
      from retention.effective_periods(${policy.name}, ${policyReach(policy)}, ${JSON.stringify(periodsOf(policy))}::jsonb,
        least(${at}::timestamptz, retention.clock()), make_interval(secs => ${coolingSeconds}::float8)) e`,
    oneRow(BacklogFacts),
  );

const Day = z.object({ arriving: z.number(), deleted_total: z.number(), measured: z.number() });
type Day = z.infer<typeof Day>;

const daysBefore = (policy: Policy, at: string) =>
  query(
    sql`select arriving::float8, deleted_total::float8, extract(epoch from measured_at)::float8 as measured
      from retention.backlog_day where policy = ${policy.name}
        and day > (${at}::timestamptz at time zone 'UTC')::date - ${constant(DAYS)}
        and day < (${at}::timestamptz at time zone 'UTC')::date order by day`,
    rows(Day),
  );

/** Means over the days on record, today's look included. */
function ratesOf(
  days: readonly Day[],
  today: { now: Date; arriving: number; deleted: number },
): { arrivalsPerDay: number; drainedPerDay: number | null } {
  const arrivals = [...days.map((d) => d.arriving), today.arriving];
  const arrivalsPerDay = arrivals.reduce((a, b) => a + b, 0) / arrivals.length;
  const first = days[0];
  const elapsed = first ? (today.now.getTime() / 1000 - first.measured) / 86_400 : 0;
  if (!first || elapsed < 1) return { arrivalsPerDay, drainedPerDay: null };
  return { arrivalsPerDay, drainedPerDay: (today.deleted - first.deleted_total) / elapsed };
}

/** Labels that are gone from the policy are set to nothing: a row is never removed. */
const writes = (b: Backlog, today: { at: string; arriving: number; deleted: number }) => ({
  labels: query(
    sql`insert into retention.backlog as b (policy, plan, waiting, seconds_past_cutoff, measured_at)
      select ${b.policy}, x.plan, x.waiting, x.seconds, ${today.at}::timestamptz
      from jsonb_to_recordset(${JSON.stringify(b.plans)}::jsonb) x(plan text, waiting bigint, seconds float8)
      union all select policy, plan, 0, 0, ${today.at}::timestamptz from retention.backlog
        where policy = ${b.policy} and plan not in (select y->>'plan' from jsonb_array_elements(${JSON.stringify(b.plans)}::jsonb) y)
      on conflict (policy, plan) do update set waiting = excluded.waiting,
        seconds_past_cutoff = excluded.seconds_past_cutoff, measured_at = excluded.measured_at`,
    nothing,
  ),
  day: query(
    sql`insert into retention.backlog_day (policy, day, arriving, deleted_total, measured_at)
      values (${b.policy}, (${today.at}::timestamptz at time zone 'UTC')::date, ${today.arriving}::bigint,
        ${today.deleted}::bigint, ${today.at}::timestamptz) on conflict do nothing`,
    nothing,
  ),
  forecast: query(
    sql`insert into retention.forecast as f
        (policy, waiting, arrivals_per_day, drained_per_day, verdict, clear_at, advice, measured_at)
      values (${b.policy}, ${b.waiting}::bigint, ${b.arrivalsPerDay}::float8, ${b.drainedPerDay}::float8, ${b.verdict},
        ${b.clearAt?.toISOString() ?? null}::timestamptz, ${b.advice}, ${today.at}::timestamptz)
      -- Between two runs more and more come due: only what a run left is compared, with what the one before it left.
      on conflict (policy) do update set growing = case
          when not exists (select from retention.last_run l where l.policy = excluded.policy and l.finished_at > f.measured_at) then f.growing
          when excluded.waiting > f.waiting then f.growing + 1 else 0 end,
        waiting = excluded.waiting, arrivals_per_day = excluded.arrivals_per_day,
        drained_per_day = excluded.drained_per_day, verdict = excluded.verdict, clear_at = excluded.clear_at,
        advice = excluded.advice, measured_at = excluded.measured_at`,
    nothing,
  ),
});

async function tell(services: Services, all: readonly Backlog[]): Promise<void> {
  const wrong = all.flatMap((b): Symptom[] => {
    if (b.verdict === 'clear') return [];
    const many = b.waiting > COUNT_CAP ? `more than ${COUNT_CAP}` : String(b.waiting);
    const behind = `${b.policy} is behind: ${many} rows wait, the oldest for ${Math.round(b.secondsPast / 3_600)} hours`;
    if (b.verdict === 'never') {
      const rates = `${Math.round(b.arrivalsPerDay)} rows expire a day and ${Math.round(b.drainedPerDay ?? 0)} are deleted`;
      return [
        {
          cause: `backlog.never:${b.policy}`,
          severity: 'critical',
          message: `${behind}. It will never catch up: ${rates}; ${b.advice}`,
        },
      ];
    }
    const until = b.clearAt
      ? `; it will have caught up at about ${b.clearAt.toISOString().slice(0, 13)}:00Z`
      : '';
    return [{ cause: `backlog.late:${b.policy}`, severity: 'warning', message: `${behind}${until}` }];
  });
  const over = all
    .flatMap((b) => [`backlog.never:${b.policy}`, `backlog.late:${b.policy}`])
    .filter((cause) => !wrong.some((w) => w.cause === cause));
  await reportIncidents(services, { wrong, over });
}
