/** Table retention.drift: what the last look found, each finding with when it was first seen. What is fixed is removed. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { nothing, query, rows } from '../../platform/query';
import { constant, sql, utc } from '../../platform/sql';
import { type Finding, KINDS } from './judge';

/** As many as a person will ever read; that there are more is a finding of its own. */
const MOST = 1_000;

const idOf = ({ kind, subject, problem }: Finding): string =>
  createHash('sha256')
    .update(JSON.stringify([kind, subject, problem]))
    .digest('hex')
    .slice(0, 16);

/** These are all there are now. */
export const saveDrift = (found: readonly Finding[], at: Date) =>
  query(
    sql`with found as (
        select distinct on (x.id) x.* from jsonb_to_recordset(${JSON.stringify(identified(found))}::jsonb)
          x(id text, kind text, subject text, problem text, remedy text) order by x.id
      ), mended as (
        delete from retention.drift d where not exists (select from found f where f.id = d.id)
      )
      insert into retention.drift (id, kind, subject, problem, remedy, found_at, seen_at)
      select f.id, f.kind, f.subject, f.problem, f.remedy, ${at.toISOString()}::timestamptz, ${at.toISOString()}::timestamptz from found f
      on conflict (id) do update set remedy = excluded.remedy, seen_at = greatest(drift.seen_at, excluded.seen_at)`,
    nothing,
  );

function identified(found: readonly Finding[]) {
  const more: Finding = {
    kind: 'unread',
    subject: 'data map',
    problem: `more than ${MOST} findings: only the first are kept`,
    remedy: 'fix those, then call /api/cron/data-quality',
  };
  const kept = found.length > MOST ? [...found.slice(0, MOST), more] : found;
  return kept.map((f) => ({ id: idOf(f), ...f }));
}

const Stored = z.object({
  kind: z.enum(KINDS),
  subject: z.string(),
  problem: z.string(),
  remedy: z.string(),
  since: z.string(),
});

/** For people: in the order in which they would be fixed. */
export const currentDrift = query(
  sql`select kind, subject, problem, remedy, ${utc(sql`found_at`, 's')} as since
    from retention.drift order by kind, subject, id limit ${constant(MOST + 1)}`,
  rows(Stored),
);

/** How many of each kind. */
export const driftByKind = query(
  sql`select kind, count(*)::float8 as findings from retention.drift group by kind`,
  rows(z.object({ kind: z.enum(KINDS), findings: z.number() })),
);
