/**
 * Looks whether everything ran: each cron that ends takes the next turn, so that the watch needs no cron of
 * its own to be alive. One bounded request, at most once in TURN_SECONDS however many crons end; a second one
 * and the alerts only when something is wrong or over.
 */
import { z } from 'zod';
import { deliver } from '../platform/alerts/deliver';
import { causeOf } from '../platform/alerts/guard';
import { type Symptom, writeIncidents } from '../platform/alerts/incidents';
import { codeOf } from '../platform/errors';
import type { NextLook } from '../platform/job';
import { ORDER_JOB, WATCH_JOB } from '../platform/jobs';
import { arrive, settleLook } from '../platform/looks';
import { nothing, oneRow, query, rowCount, rows } from '../platform/query';
import { capture } from '../platform/sentry';
import { ask, askOne } from '../platform/session';
import { constant, sql } from '../platform/sql';
import type { Services } from '../services';
import { declareExpected, expectAgain, writeDown } from './attendance';
import { allExpected, type Expected } from './expected';
import { type Attendance, CAUSES, judge, type Status } from './judge';
import { knowing, mayKnow, untilOf } from './next-look';
import { type Note, notesIn, seenText, symptomsOf } from './quiet';

/** Just under the interval of run-watch, so that a busy hour costs no more than a quiet one. */
const TURN_SECONDS = 100;
const LIMITS = { statementMs: 5_000, lockMs: 5_000 };
/** Open incidents: one a cause, and there are a few causes a policy. */
const MOST_INCIDENTS = 1_000;

export interface Look {
  /** False: another instance has just looked. */
  readonly looked: boolean;
  readonly statuses: Readonly<Record<string, Status>>;
  readonly symptoms: readonly Symptom[];
  /** The law of the watch, as long as who comes is as expected (quiet.ts): alerts that wait. */
  readonly nextLook?: NextLook;
}

const NOTHING: Look = { looked: false, statuses: {}, symptoms: [] };

/** Only in production, where crons run. Never throws: a watch that fails says so in the log and at Sentry, and the cron it follows ends as it did. */
export async function lookForLateRuns(services: Services, options: { force?: boolean } = {}): Promise<Look> {
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
  const all = allExpected(services);
  const known = mayKnow(services) ? await arrive(services.redis, WATCH_JOB, knowing(services, now)) : null;
  const kept = { since: known?.since ?? null, notes: known ? notesIn(known) : new Map<string, Note>() };
  const { turn, attendance, incidents, waiting } = await ask(
    services.database,
    {
      turn: takeTurn(now, force),
      declared: declareExpected(all, now.toISOString()),
      lost: expectAgain(kept, now.toISOString()),
      came: writeDown(kept.notes),
      idle: mayIdle(known !== null, now),
      attendance: ATTENDANCE,
      incidents: OPEN_INCIDENTS,
      waiting: alertsWait(now),
    },
    LIMITS,
  );
  if (turn === 0) {
    // What this very run decided does not wait for the next turn.
    if (waiting.due) await deliver(services);
    // Nor is it judged here: the next watch looks.
    if (known) await settleWatch(services, now, undefined);
    return NOTHING;
  }
  const judged = all.flatMap((expected) => {
    const attended = attendance.find((a) => a.name === expected.name);
    return attended ? [[expected, attendanceOf(expected, attended)] as const] : [];
  });
  const { statuses, symptoms } = judgeAll(judged, now, services.settings.sla);
  const over = [...overRuns(incidents, symptoms), ...overGuards(incidents, attendance)];
  await writeIncidents(services, { wrong: symptoms, over });
  const changed = await saveStatuses(services, statuses, attendance);
  const isTelling = over.length > 0 || waiting.due;
  if (symptoms.length > 0 || isTelling) await deliver(services);
  const nextLook = isTelling || changed ? undefined : waiting.next;
  if (known) {
    const attended = new Map(judged.map(([{ name }, a]) => [name, a]));
    await settleWatch(
      services,
      now,
      nextLook,
      seenText(attended, symptomsOf(judged, now, services.settings.sla)),
    );
  }
  return { looked: true, statuses, symptoms, ...(nextLook === undefined ? {} : { nextLook }) };
}

function judgeAll(
  judged: readonly (readonly [Expected, Attendance])[],
  now: Date,
  sla: Services['settings']['sla'],
) {
  const statuses: Record<string, Status> = {};
  const symptoms: Symptom[] = [];
  for (const [expected, attended] of judged) {
    const verdict = judge(expected, attended, now, sla);
    statuses[expected.name] = verdict.status;
    symptoms.push(...verdict.symptoms);
  }
  return { statuses, symptoms };
}

/** `nextLook`: when an alert that waits is tried again; undefined: the next watch looks. */
async function settleWatch(
  services: Services,
  looked: Date,
  nextLook: NextLook | undefined,
  watched?: string,
): Promise<void> {
  const { basis, safetySeconds } = knowing(services, looked);
  const until = untilOf(nextLook, { looked, daily: '', safetySeconds });
  await settleLook(services.redis, WATCH_JOB, { looked, until, basis, ...(watched ? { watched } : {}) });
}

const Instant = z.coerce.date();
const Attended = z.object({
  name: z.string(),
  status: z.string().nullable(),
  expected_since: Instant,
  started_at: Instant.nullable(),
  finished_at: Instant.nullable(),
  worked_at: Instant.nullable(),
  outcome: z.string().nullable(),
  reason: z.string().nullable(),
  sla_status: z.string().nullable(),
  last_run_at: Instant.nullable(),
  last_outcome: z.string().nullable(),
  last_reason: z.string().nullable(),
  stopped: z.enum(['stopped', 'paused']).nullable(),
});
type Attended = z.infer<typeof Attended>;

const Incident = z.object({ cause: z.string(), last_seen_at: Instant });
type Incident = z.infer<typeof Incident>;

const takeTurn = (now: Date, force: boolean) =>
  query(
    sql`update retention.watch_turn set looked_at = ${now.toISOString()}::timestamptz
      where ${force}::boolean or looked_at <= ${now.toISOString()}::timestamptz - make_interval(secs => ${constant(TURN_SECONDS)})
      returning only_row`,
    rowCount,
  );

/** A row a policy and a job: as many as are declared. */
const ATTENDANCE = query(
  sql`select w.name, w.status, w.expected_since, greatest(w.started_at, l.started_at) as started_at,
      greatest(w.finished_at, l.finished_at) as finished_at, greatest(w.worked_at, l.completed_at) as worked_at,
      case when l.finished_at > w.finished_at or w.finished_at is null then l.outcome else w.outcome end as outcome,
      case when l.finished_at > w.finished_at or w.finished_at is null then l.reason else w.reason end as reason,
      w.sla_status, l.started_at as last_run_at, l.outcome as last_outcome, l.reason as last_reason,
      case when k.stopped then 'stopped' when s.paused then 'paused' end as stopped
    from retention.watched w cross join retention.kill_switch k
    left join retention.last_run l on l.policy = w.name
    left join retention.policy_state s on s.policy = w.name`,
  rows(Attended),
);

const OPEN_INCIDENTS = query(
  sql`select cause, last_seen_at from retention.incident where recovered_at is null
    order by opened_at limit ${constant(MOST_INCIDENTS)}`,
  rows(Incident),
);

const Waiting = z.object({ due: z.boolean(), next: Instant.nullable() });
const alertsWait = (now: Date) =>
  query(
    sql`select coalesce(min(next_attempt_at) <= ${now.toISOString()}::timestamptz, false) as due, min(next_attempt_at) as next
      from retention.alert where state = 'pending'`,
    oneRow(Waiting),
  );

/** Whoever looks settles when the watch looks next. */
const mayIdle = (isKnown: boolean, now: Date) =>
  query(
    sql`update retention.watched set in_redis_since = ${now.toISOString()}::timestamptz
      where ${isKnown}::boolean and name = ${WATCH_JOB} and in_redis_since is null`,
    nothing,
  );

const attendanceOf = (expected: Expected, attended: Attended): Attendance => ({
  expectedSince: attended.expected_since,
  startedAt: attended.started_at,
  finishedAt: attended.finished_at,
  workedAt: attended.worked_at,
  outcome: attended.outcome,
  reason: attended.reason,
  slaStatus: attended.sla_status,
  // An operator's stop is for policies and refunds; Lapse's other jobs continue.
  stopped: expected.kind === 'policy' || expected.name === ORDER_JOB.name ? attended.stopped : null,
});

/** Incidents about runs that were not seen this time; also those of a policy that is no longer declared. */
function overRuns(open: readonly Incident[], symptoms: readonly Symptom[]): string[] {
  const seen = new Set(symptoms.map((s) => s.cause));
  return open
    .map((i) => i.cause)
    .filter((cause) => CAUSES.some((c) => cause.startsWith(`${c}:`)) && !seen.has(cause));
}

/** A guard's stop is over when a later run was not stopped by it, an open breaker when a later run worked. */
function overGuards(open: readonly Incident[], attendance: readonly Attended[]): string[] {
  return attendance.flatMap((attended) => {
    const since = (cause: string) => {
      const incident = open.find((i) => i.cause === cause);
      const ranAt = attended.last_run_at;
      return incident && ranAt && ranAt > incident.last_seen_at ? [cause] : [];
    };
    const works = attended.last_outcome === 'succeeded' || attended.last_outcome === 'interrupted';
    return [
      ...(attended.last_reason === 'guarded' ? [] : since(causeOf('guard.stopped', attended.name))),
      ...(works ? since(causeOf('breaker.opened', attended.name)) : []),
    ];
  });
}

/** For the metrics; no request when nothing changed. Returns whether anything did. */
async function saveStatuses(
  services: Services,
  statuses: Record<string, Status>,
  attendance: readonly Attended[],
): Promise<boolean> {
  const changed = attendance
    .filter((a) => statuses[a.name] !== undefined && statuses[a.name] !== a.status)
    .map((a) => ({ name: a.name, status: statuses[a.name] }));
  if (changed.length === 0) return false;
  const save = sql`update retention.watched w set status = x.status
    from jsonb_to_recordset(${JSON.stringify(changed)}::jsonb) x(name text, status text) where w.name = x.name`;
  await askOne(services.database, query(save, nothing), LIMITS);
  return true;
}
