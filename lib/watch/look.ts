/**
 * The look whether everything ran: whoever ends a cron takes the next turn, so that the watch needs no cron of
 * its own to be alive. One bounded request, at most once in TURN_SECONDS however many crons end; a second one
 * and the alerts only when something is wrong or over.
 */
import { deliver } from '../platform/alerts/deliver';
import { causeOf } from '../platform/alerts/guard';
import { report, type Symptom } from '../platform/alerts/incidents';
import type { Row, Statement } from '../platform/database';
import { codeOf } from '../platform/errors';
import { ORDER_JOB } from '../platform/jobs';
import { capture } from '../platform/sentry';
import { askRows } from '../platform/session';
import type { Services } from '../services';
import { declare } from './attendance';
import { everything } from './expected';
import { type Attendance, CAUSES, judge, type Status } from './judge';

/** Just under the interval of run-watch, so that a busy hour costs no more than a quiet one. */
const TURN_SECONDS = 100;
const LIMITS = { statementMs: 5_000, lockMs: 5_000 };
/** Open incidents: one a cause, and there are a few causes a policy. */
const MOST_INCIDENTS = 1_000;

export interface Look {
  /** False: somebody else has just looked. */
  readonly looked: boolean;
  readonly statuses: Readonly<Record<string, Status>>;
  readonly symptoms: readonly Symptom[];
}

const NOTHING: Look = { looked: false, statuses: {}, symptoms: [] };

/** Only in production, where crons run. Never throws: a watch that fails says so in the log and at Sentry, and the cron it follows ends as it did. */
export async function look(services: Services, options: { force?: boolean } = {}): Promise<Look> {
  if (!services.settings.production) return NOTHING;
  try {
    return await lookNow(services, options.force ?? false);
  } catch (error) {
    const code = codeOf(error);
    services.log.error({ event: 'watch.failed', error_code: code }, 'the watch could not look');
    capture(error, { code: 'watch.failed' });
    return NOTHING;
  }
}

async function lookNow(services: Services, force: boolean): Promise<Look> {
  const now = services.clock();
  const all = everything(services);
  const [turn = [], , rows = [], incidents = [], waiting = []] = await askRows(
    services.database,
    [
      takeTurn(now, force),
      declare(all, now.toISOString()),
      attendance,
      openIncidents,
      {
        text: `select exists (select 1 from retention.alert where state = 'pending' and next_attempt_at <= $1::timestamptz) as due`,
        params: [now.toISOString()],
      },
    ],
    LIMITS,
  );
  if (turn.length === 0) {
    // What this very run decided does not wait for the next turn.
    if (waiting[0]?.due === true) await deliver(services);
    return NOTHING;
  }
  const statuses: Record<string, Status> = {};
  const symptoms: Symptom[] = [];
  for (const expected of all) {
    const row = rows.find((r) => r.name === expected.name);
    if (!row) continue;
    const verdict = judge(
      expected,
      attendanceOf(row, expected.kind === 'policy' || expected.name === ORDER_JOB.name),
      now,
      services.settings.sla,
    );
    statuses[expected.name] = verdict.status;
    symptoms.push(...verdict.symptoms);
  }
  const over = [...overRuns(incidents, symptoms), ...overGuards(incidents, rows)];
  await report(services, { wrong: symptoms, over });
  await write(services, statuses, rows);
  if (symptoms.length > 0 || over.length > 0 || waiting[0]?.due === true) await deliver(services);
  return { looked: true, statuses, symptoms };
}

const takeTurn = (now: Date, force: boolean): Statement => ({
  text: `update retention.watch_turn set looked_at = $1::timestamptz
    where $2::boolean or looked_at <= $1::timestamptz - make_interval(secs => ${TURN_SECONDS}) returning only_row`,
  params: [now.toISOString(), force],
});

/** A row a policy and a job: as many as are declared. */
const attendance: Statement = {
  text: `select w.name, w.status, w.expected_since, greatest(w.started_at, l.started_at) as started_at,
      greatest(w.finished_at, l.finished_at) as finished_at, greatest(w.worked_at, l.completed_at) as worked_at,
      case when l.finished_at > w.finished_at or w.finished_at is null then l.outcome else w.outcome end as outcome,
      case when l.finished_at > w.finished_at or w.finished_at is null then l.reason else w.reason end as reason,
      w.sla_status, l.started_at as last_run_at, l.outcome as last_outcome, l.reason as last_reason,
      case when k.stopped then 'stopped' when s.paused then 'paused' end as stopped
    from retention.watched w cross join retention.kill_switch k
    left join retention.last_run l on l.policy = w.name
    left join retention.policy_state s on s.policy = w.name`,
  params: [],
};

const openIncidents: Statement = {
  text: `select cause, last_seen_at from retention.incident where recovered_at is null order by opened_at limit ${MOST_INCIDENTS}`,
  params: [],
};

const instant = (value: unknown): Date | null =>
  value === null ? null : value instanceof Date ? value : new Date(String(value));

const attendanceOf = (row: Row, canBeStopped: boolean): Attendance => ({
  expectedSince: instant(row.expected_since) ?? new Date(0),
  startedAt: instant(row.started_at),
  finishedAt: instant(row.finished_at),
  workedAt: instant(row.worked_at),
  outcome: row.outcome === null ? null : String(row.outcome),
  reason: row.reason === null ? null : String(row.reason),
  slaStatus: row.sla_status === null ? null : String(row.sla_status),
  // An operator's stop is for policies and refunds; Lapse's other jobs go on.
  stopped: canBeStopped ? (row.stopped as Attendance['stopped']) : null,
});

/** Incidents about runs that nobody saw this time; also those of a policy that is not declared any more. */
function overRuns(open: readonly Row[], symptoms: readonly Symptom[]): string[] {
  const seen = new Set(symptoms.map((s) => s.cause));
  return open
    .map((i) => String(i.cause))
    .filter((cause) => CAUSES.some((c) => cause.startsWith(`${c}:`)) && !seen.has(cause));
}

/** A guard's stop is over when a later run was not stopped by it, an open breaker when a later run worked. */
function overGuards(open: readonly Row[], rows: readonly Row[]): string[] {
  return rows.flatMap((row) => {
    const since = (cause: string) => {
      const incident = open.find((i) => i.cause === cause);
      const ranAt = instant(row.last_run_at);
      return incident && ranAt && ranAt > (instant(incident.last_seen_at) ?? ranAt) ? [cause] : [];
    };
    const works = row.last_outcome === 'succeeded' || row.last_outcome === 'interrupted';
    return [
      ...(row.last_reason === 'guarded' ? [] : since(causeOf('guard.stopped', String(row.name)))),
      ...(works ? since(causeOf('breaker.opened', String(row.name))) : []),
    ];
  });
}

/** For the metrics; nothing when nothing changed. */
async function write(
  services: Services,
  statuses: Record<string, Status>,
  rows: readonly Row[],
): Promise<void> {
  const changed = rows.filter(
    (r) => statuses[String(r.name)] !== undefined && statuses[String(r.name)] !== r.status,
  );
  if (changed.length === 0) return;
  const to = changed.map((r) => ({ name: r.name, status: statuses[String(r.name)] }));
  await askRows(
    services.database,
    [
      {
        text: `update retention.watched w set status = x.status
          from jsonb_to_recordset($1::jsonb) x(name text, status text) where w.name = x.name`,
        params: [JSON.stringify(to)],
      },
    ],
    LIMITS,
  );
}
