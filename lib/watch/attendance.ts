/**
 * Table retention.watched: when each policy and each job last began, ended and did its work. Written at both ends,
 * so that a run that died shows. A note that cannot be written is only logged: the run itself went its way.
 */

import type { Statement } from '../platform/database';
import { codeOf } from '../platform/errors';
import type { Outcome, SlaStatus } from '../platform/outcome';
import { askRows } from '../platform/session';
import type { Services } from '../services';
import type { Expected } from './expected';

const LIMITS = { statementMs: 5_000, lockMs: 5_000 };

export interface Ended {
  readonly outcome: Outcome;
  readonly reason: string | null;
  readonly startedAt: Date;
  readonly finishedAt: Date;
  readonly durationSeconds: number;
  readonly slaStatus: SlaStatus;
}

/** Interrupted for one of these, a run kept nothing it could go on from, as in retention.count_run. */
const UNDONE = ['lost', 'paused', 'fenced', 'lease'];

const didItsWork = (e: Pick<Ended, 'outcome' | 'reason'>): boolean =>
  e.outcome === 'succeeded' || (e.outcome === 'interrupted' && !UNDONE.includes(e.reason ?? ''));

/** Everything that is expected from now on; a changed schedule counts from when it was first seen. */
export const declare = (all: readonly Expected[], at: string): Statement => ({
  text: `insert into retention.watched as w (name, schedule, expected_since)
    select x.name, x.schedule, $2::timestamptz from jsonb_to_recordset($1::jsonb) x(name text, schedule text) order by x.name
    on conflict (name) do update set schedule = excluded.schedule, expected_since = excluded.expected_since
      where w.schedule <> excluded.schedule`,
  params: [JSON.stringify(all.map(({ name, schedule }) => ({ name, schedule }))), at],
});

export const noteBegin = (services: Services, expected: Expected, startedAt: Date): Promise<void> =>
  note(services, expected, startedAt, {
    text: `update retention.watched set started_at = greatest(started_at, $2::timestamptz) where name = $1`,
    params: [expected.name, startedAt.toISOString()],
  });

export const noteEnd = (services: Services, expected: Expected, e: Ended): Promise<void> =>
  note(services, expected, e.startedAt, {
    text: `update retention.watched set started_at = greatest(started_at, $2::timestamptz), finished_at = $3::timestamptz,
        worked_at = case when $4::boolean then greatest(worked_at, $2::timestamptz) else worked_at end,
        outcome = $5, reason = $6, seconds = $7::float8,
        sla_status = case when $5 = 'skipped' then sla_status else $8 end
      where name = $1 and (finished_at is null or finished_at <= $3::timestamptz)`,
    params: [
      expected.name,
      e.startedAt.toISOString(),
      e.finishedAt.toISOString(),
      didItsWork(e),
      e.outcome,
      e.reason,
      e.durationSeconds,
      e.slaStatus,
    ],
  });

async function note(services: Services, expected: Expected, at: Date, statement: Statement): Promise<void> {
  try {
    await askRows(services.database, [declare([expected], at.toISOString()), statement], LIMITS);
  } catch (error) {
    services.log.warn(
      {
        event: 'watch.unnoted',
        script: expected.name,
        error_code: codeOf(error),
      },
      'when this ran could not be noted; the watch may call it late',
    );
  }
}
