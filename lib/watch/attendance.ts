/**
 * Table retention.watched: when each policy and each job last began, ended and did its work. Written at both ends,
 * so that a run that died shows. Who comes without asking PostgreSQL is noted in Redis (quiet.ts), and here by the next
 * who asks. A note that cannot be written is only logged: the run itself went its way.
 */
import { codeOf } from '../platform/errors';
import type { Outcome, SlaStatus } from '../platform/outcome';
import { nothing, type Query, query } from '../platform/query';
import { ask, type Queries } from '../platform/session';
import { sql } from '../platform/sql';
import type { Services } from '../services';
import type { Expected } from './expected';
import type { Note } from './quiet';

const LIMITS = { statementMs: 5_000, lockMs: 5_000 };

/** Of one that has ended. */
export interface Ended {
  readonly outcome: Outcome;
  readonly reason: string | null;
  readonly startedAt: Date;
  readonly finishedAt: Date;
  readonly durationSeconds: number;
  readonly slaStatus: SlaStatus;
  /** Its next calls may be noted in Redis only. */
  readonly inRedis?: boolean;
  /** There was nothing to do: it says when there may be. */
  readonly knowsNext?: boolean;
}

/** Interrupted for one of these, a run kept nothing to continue from, as in retention.count_run. */
const UNDONE = ['lost', 'paused', 'fenced', 'lease'];

export const didItsWork = (e: Pick<Ended, 'outcome' | 'reason' | 'knowsNext'>): boolean =>
  e.outcome === 'succeeded' ||
  (e.outcome === 'skipped' && e.knowsNext === true) ||
  (e.outcome === 'interrupted' && !UNDONE.includes(e.reason ?? ''));

/** Everything that is expected from now on; a changed schedule counts from when it was first seen. */
export const declareExpected = (all: readonly Expected[], at: string): Query<void> =>
  query(
    sql`insert into retention.watched as w (name, schedule, expected_since)
      select x.name, x.schedule, ${at}::timestamptz
      from jsonb_to_recordset(${JSON.stringify(all.map(({ name, schedule }) => ({ name, schedule })))}::jsonb) x(name text, schedule text)
      order by x.name
      on conflict (name) do update set schedule = excluded.schedule, expected_since = excluded.expected_since
        where w.schedule <> excluded.schedule`,
    nothing,
  );

export const noteBegin = (services: Services, expected: Expected, startedAt: Date): Promise<void> =>
  note(
    services,
    expected,
    startedAt,
    query(
      sql`update retention.watched set started_at = greatest(started_at, ${startedAt.toISOString()}::timestamptz)
        where name = ${expected.name}`,
      nothing,
    ),
  );

export const noteEnd = (services: Services, expected: Expected, ended: Ended): Promise<void> => {
  const started = ended.startedAt.toISOString();
  const finished = ended.finishedAt.toISOString();
  return note(
    services,
    expected,
    ended.startedAt,
    query(
      sql`update retention.watched set started_at = greatest(started_at, ${started}::timestamptz),
          finished_at = ${finished}::timestamptz,
          worked_at = case when ${didItsWork(ended)}::boolean then greatest(worked_at, ${started}::timestamptz) else worked_at end,
          in_redis_since = case when ${ended.inRedis ?? false}::boolean then ${finished}::timestamptz end,
          outcome = ${ended.outcome}, reason = ${ended.reason}, seconds = ${ended.durationSeconds}::float8,
          sla_status = case when ${ended.outcome}::text = 'skipped' then sla_status else ${ended.slaStatus} end
        where name = ${expected.name} and (finished_at is null or finished_at <= ${finished}::timestamptz)`,
      nothing,
    ),
  );
};

/** Who has come without asking, by the notes in Redis. */
export const writeDown = (notes: ReadonlyMap<string, Note>): Query<void> =>
  query(
    sql`update retention.watched w set started_at = greatest(w.started_at, x."startedAt"),
        finished_at = greatest(w.finished_at, x."finishedAt"), worked_at = greatest(w.worked_at, x."workedAt")
      from jsonb_to_recordset(${JSON.stringify([...notes].map(([name, note]) => ({ name, ...note })))}::jsonb)
        x(name text, "startedAt" timestamptz, "finishedAt" timestamptz, "workedAt" timestamptz)
      where w.name = x.name and x."finishedAt" > coalesce(w.finished_at, '-infinity')`,
    nothing,
  );

/** What Redis holds: since when, null where that is not known now, and who has come. */
export interface Kept {
  readonly since: Date | null;
  readonly notes: ReadonlyMap<string, Note>;
}

/** Whose attendance was in Redis and is there no more: expected from now on, as if it were seen for the first time. */
export const expectAgain = (kept: Kept, at: string): Query<void> =>
  query(
    sql`update retention.watched set in_redis_since = null, expected_since = greatest(expected_since, ${at}::timestamptz)
      where in_redis_since < coalesce(${kept.since?.toISOString() ?? null}::timestamptz, 'infinity')
        and name <> all(${[...kept.notes.keys()]}::text[])`,
    nothing,
  );

/** From now on its calls may be noted in Redis only. */
export const noteInRedis = (services: Services, name: string, at: Date): Promise<void> =>
  noting(services, name, {
    noted: query(
      sql`update retention.watched set in_redis_since = coalesce(in_redis_since, ${at.toISOString()}::timestamptz)
        where name = ${name}`,
      nothing,
    ),
  });

const note = (services: Services, expected: Expected, at: Date, noted: Query<void>): Promise<void> =>
  noting(services, expected.name, { declared: declareExpected([expected], at.toISOString()), noted });

async function noting(services: Services, name: string, queries: Queries): Promise<void> {
  try {
    await ask(services.database, queries, LIMITS);
  } catch (error) {
    services.log.warn(
      {
        event: 'watch.unnoted',
        script: name,
        error_code: codeOf(error),
      },
      'when this ran could not be noted; the watch may call it late',
    );
  }
}
