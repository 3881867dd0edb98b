/**
 * The cron of the backlog: measures each policy once an hour, keeps a total a day, and says whether it keeps up.
 * Tables retention.backlog, backlog_day and forecast; a scrape reads them and measures nothing.
 */

import { legsOf } from '../../engine/statement/leg';
import { report, type Symptom } from '../../platform/alerts/incidents';
import type { Row, Statement } from '../../platform/database';
import { codeOf, LapseError } from '../../platform/errors';
import type { JobOrder, JobResult } from '../../platform/job';
import { askRows, indexesOnly } from '../../platform/session';
import type { Policy } from '../../policies/contract';
import { periodsOf, reachOf, withPeriods } from '../../policies/effective';
import type { Services } from '../../services';
import { expectedOf } from '../expected';
import { type Forecast, forecast } from './forecast';
import { COUNT_CAP, Measured, measure } from './measure';

const STATEMENT_MS = 10_000;
/** Days the rates are taken over. */
const DAYS = 7;
/** Kept back for the answer. */
const CLOSING_MS = 5_000;

export interface Backlog extends Forecast {
  readonly policy: string;
  readonly waiting: number;
  readonly secondsPast: number;
  readonly arrivalsPerDay: number;
  readonly drainedPerDay: number | null;
  readonly plans: readonly Measured[];
}

export async function watchBacklog(
  services: Services,
  order: JobOrder,
): Promise<JobResult & { backlog: Backlog[]; unmeasured: string[] }> {
  const log = services.log.child({ correlation_id: order.correlationId, script: 'backlog' });
  const backlog: Backlog[] = [];
  const unmeasured: string[] = [];
  for (const policy of services.policies) {
    if (order.deadline.getTime() - services.clock().getTime() < CLOSING_MS) {
      const message = `${backlog.length} measured; the next one goes on`;
      return { outcome: 'interrupted', reason: 'time', message, backlog, unmeasured };
    }
    try {
      backlog.push(await measureOne(services, policy, order.dryRun));
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
  if (!order.dryRun) await tell({ ...services, log }, backlog);
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
    : { outcome: 'succeeded', reason: null, message, backlog, unmeasured };
}

async function measureOne(services: Services, policy: Policy, dryRun: boolean): Promise<Backlog> {
  const now = services.clock();
  const at = now.toISOString();
  const { database } = services;
  const reading = { statementMs: STATEMENT_MS, readOnly: true };
  const cooling = services.settings.guards.coolingOffSeconds;
  const [known = [], days = []] = await askRows(
    database,
    [facts(policy, at, cooling), history(policy, at)],
    reading,
  );
  const effective = withPeriods(policy, (known[0]?.periods ?? {}) as Record<string, number | null>);
  const statement = measure(effective, legsOf(effective, now, cooling), at);
  const [, rows = []] = statement ? await askRows(database, [indexesOnly, statement], reading) : [];
  // What the last drained run left before its cutoff may not go: nothing can be later than that run is past.
  const sinceDrained = Number(known[0]?.since_drained ?? Number.POSITIVE_INFINITY);
  const plans = Measured.array()
    .parse(rows)
    .map((m) => ({ ...m, seconds: Math.max(0, Math.min(m.seconds ?? 0, sinceDrained)) }));
  const sum = (of: (m: Measured) => number) => plans.reduce((n, m) => n + of(m), 0);
  const waiting = sum((m) => m.waiting);
  const arriving = sum((m) => m.arriving);
  const deleted = Number(known[0]?.deleted ?? 0);
  const rates = ratesOf(days, { now, arriving, deleted });
  const secondsPast = Math.max(0, ...plans.map((m) => m.seconds ?? 0));
  const { run, resume } = policy.schedule;
  const seen = forecast({
    now,
    waiting,
    secondsPast,
    ...rates,
    counted: {
      waiting: plans.every((m) => m.waiting <= COUNT_CAP),
      arrivals: plans.every((m) => m.arriving <= COUNT_CAP),
    },
    schedules: resume ? [run, resume] : [run],
    latenessSeconds: expectedOf(policy).latenessSeconds,
  });
  const backlog: Backlog = { policy: policy.name, waiting, secondsPast, ...rates, ...seen, plans };
  if (!dryRun)
    await askRows(database, writes(backlog, { at, arriving, deleted }), { statementMs: STATEMENT_MS });
  return backlog;
}

/** One row: the periods that count now, rows deleted since the first run, seconds since a run left nothing behind. */
const facts = (policy: Policy, at: string, coolingSeconds: number): Statement => ({
  text: `select e.periods,
      (select coalesce(sum(deleted), 0) from retention.deleted_total where policy = $1 and plan <> 'erasure')::text as deleted,
      (select extract(epoch from $4::timestamptz - drained_at) from retention.last_run where policy = $1)::float8 as since_drained
    from retention.effective_periods($1, $2, $3::jsonb, least($4::timestamptz, retention.clock()), make_interval(secs => $5::float8)) e`,
  params: [policy.name, reachOf(policy), JSON.stringify(periodsOf(policy)), at, coolingSeconds],
});

const history = (policy: Policy, at: string): Statement => ({
  text: `select arriving::float8, deleted_total::float8, extract(epoch from measured_at)::float8 as measured
    from retention.backlog_day where policy = $1 and day > ($2::timestamptz at time zone 'UTC')::date - ${DAYS}
      and day < ($2::timestamptz at time zone 'UTC')::date order by day`,
  params: [policy.name, at],
});

/** Means over the days on record, today's look included. */
function ratesOf(
  days: readonly Row[],
  today: { now: Date; arriving: number; deleted: number },
): { arrivalsPerDay: number; drainedPerDay: number | null } {
  const arrivals = [...days.map((d) => Number(d.arriving)), today.arriving];
  const arrivalsPerDay = arrivals.reduce((a, b) => a + b, 0) / arrivals.length;
  const first = days[0];
  const elapsed = first ? (today.now.getTime() / 1000 - Number(first.measured)) / 86_400 : 0;
  if (!first || elapsed < 1) return { arrivalsPerDay, drainedPerDay: null };
  return { arrivalsPerDay, drainedPerDay: (today.deleted - Number(first.deleted_total)) / elapsed };
}

/** Labels that are gone from the policy are set to nothing: a row is never removed. */
const writes = (b: Backlog, today: { at: string; arriving: number; deleted: number }): Statement[] => [
  {
    text: `insert into retention.backlog as b (policy, plan, waiting, seconds_past_cutoff, measured_at)
      select $1, x.plan, x.waiting, x.seconds, $3::timestamptz
      from jsonb_to_recordset($2::jsonb) x(plan text, waiting bigint, seconds float8)
      union all select policy, plan, 0, 0, $3::timestamptz from retention.backlog
        where policy = $1 and plan not in (select y->>'plan' from jsonb_array_elements($2::jsonb) y)
      on conflict (policy, plan) do update set waiting = excluded.waiting,
        seconds_past_cutoff = excluded.seconds_past_cutoff, measured_at = excluded.measured_at`,
    params: [b.policy, JSON.stringify(b.plans), today.at],
  },
  {
    text: `insert into retention.backlog_day (policy, day, arriving, deleted_total, measured_at)
      values ($1, ($2::timestamptz at time zone 'UTC')::date, $3::bigint, $4::bigint, $2::timestamptz) on conflict do nothing`,
    params: [b.policy, today.at, today.arriving, today.deleted],
  },
  {
    text: `insert into retention.forecast (policy, waiting, arrivals_per_day, drained_per_day, verdict, clear_at, advice, measured_at)
      values ($1, $2::bigint, $3::float8, $4::float8, $5, $6::timestamptz, $7, $8::timestamptz)
      on conflict (policy) do update set waiting = excluded.waiting, arrivals_per_day = excluded.arrivals_per_day,
        drained_per_day = excluded.drained_per_day, verdict = excluded.verdict, clear_at = excluded.clear_at,
        advice = excluded.advice, measured_at = excluded.measured_at`,
    params: [
      b.policy,
      b.waiting,
      b.arrivalsPerDay,
      b.drainedPerDay,
      b.verdict,
      b.clearAt?.toISOString() ?? null,
      b.advice,
      today.at,
    ],
  },
];

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
  await report(services, { wrong, over });
}
