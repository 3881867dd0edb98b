/** The numbers of the start page besides what its policies say: what went in a day, what is kept on purpose, whether it can be proved. */
import { z } from 'zod';
import { maybeRow, oneRow, query } from '../../platform/query';
import { ask } from '../../platform/session';
import { constant, sql, utc } from '../../platform/sql';
import type { Services } from '../../services';

const LIMITS = { statementMs: 5_000, readOnly: true } as const;
/** More runs than this in a day are more than any schedules make; the sum then says "at least". */
const MOST_RUNS = 5_000;
/** Against the day before, either way. */
const UNUSUAL = 5;
/** Under this, a day is nothing to compare with. */
const LEAST_USUAL = 1_000;

const count = z.coerce.number();
const Gone = z.object({ rows: count, bytes: count, before: count, runs: count });
const gone = (now: Date) =>
  query(
    sql`select coalesce(sum(deleted) filter (where is_new), 0)::text as rows, coalesce(sum(bytes_freed) filter (where is_new), 0)::text as bytes,
        coalesce(sum(deleted) filter (where not is_new), 0)::text as before, count(*)::text as runs
      from (select deleted, bytes_freed, started_at > ${now.toISOString()}::timestamptz - interval '1 day' as is_new from retention.run
        where started_at > ${now.toISOString()}::timestamptz - interval '2 days' and mode = 'delete'
        order by started_at desc, id desc limit ${constant(MOST_RUNS)}) r`,
    oneRow(Gone),
  );

const Kept = z.object({ holds: count, extensions: count, late: count, rows: count });
/** Rows that the newest run of each policy met and left because of them; holds and extensions are few. */
const kept = (now: Date) =>
  query(
    sql`select (select count(*) from retention.hold where released_at is null)::text as holds,
        (select count(*) from (select 1 from retention.extension where keep_until > ${now.toISOString()}::timestamptz limit ${constant(10_000)}) e)::text
          as extensions,
        (select count(*) from retention.hold where released_at is null and review_at <= ${now.toISOString()}::timestamptz)::text as late,
        (select coalesce(sum(coalesce((r.kept ->> 'held')::numeric, 0) + coalesce((r.kept ->> 'extended')::numeric, 0)), 0)
          from retention.last_run l join retention.run r on r.id = l.run)::text as rows`,
    oneRow(Kept),
  );

const Proof = z.object({
  worked_at: z.coerce.date().nullable(),
  outcome: z.string().nullable(),
  reason: z.string().nullable(),
  n: count.nullable(),
});
const proof = query(
  sql`select ${utc(sql`w.worked_at`, 'ms')} as worked_at, w.outcome, w.reason, (select max(n) from retention.audit_entry)::text as n
    from (select 1) x left join retention.watched w on w.name = 'audit-seal'`,
  maybeRow(Proof),
);

export interface Numbers {
  readonly gone: {
    readonly rows: number;
    readonly bytes: number;
    /** Much more or much less than on the day before. */
    readonly unusual: boolean;
    readonly complete: boolean;
  };
  readonly kept: {
    readonly rows: number;
    readonly holds: number;
    readonly extensions: number;
    /** Holds whose day of review has come. */
    readonly late: number;
  };
  readonly proof: {
    /** When the chain was last verified to its end. */
    readonly verifiedAt: Date | null;
    readonly broken: boolean;
    readonly entries: number;
  };
}

export async function numbersOf({ reading, clock }: Services): Promise<Numbers> {
  const now = clock();
  const found = await ask(reading, { gone: gone(now), kept: kept(now), proof }, LIMITS);
  const { rows, bytes, before, runs } = found.gone;
  const compared = Math.max(rows, before) >= LEAST_USUAL && before > 0;
  return {
    gone: {
      ...{ rows, bytes, complete: runs < MOST_RUNS },
      unusual: compared && (rows > before * UNUSUAL || rows * UNUSUAL < before),
    },
    kept: {
      rows: found.kept.rows,
      holds: found.kept.holds,
      extensions: found.kept.extensions,
      late: found.kept.late,
    },
    proof: {
      verifiedAt: found.proof?.worked_at ?? null,
      broken: found.proof?.outcome === 'errored',
      entries: found.proof?.n ?? 0,
    },
  };
}
