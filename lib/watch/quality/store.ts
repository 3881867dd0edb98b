/** `retention.quality`: a measurement a day and subject, the latest and HISTORY_DAYS before. */
import { z } from 'zod';
import { nothing, query, rows } from '../../platform/query';
import { constant, raw, sql } from '../../platform/sql';
import { MEASURES, type Measurement, MOST_KEYS, STATUSES } from './measurement';

/** Two quarters of a year side by side. */
export const HISTORY_DAYS = 190;

const Stored = z.object({
  policy: z.string(),
  day: z.string(),
  measure: z.enum(MEASURES),
  subject: z.string(),
  status: z.enum(STATUSES),
  found: z.number().nullable(),
  looked_at: z.number().nullable(),
  share: z.number().nullable(),
  most: z.number().nullable(),
  sampled: z.boolean(),
  keys: z.array(z.string()),
  detail: z.record(z.string(), z.unknown()),
  /** Seconds since 1970. */
  measured: z.number(),
});

export interface StoredMeasurement extends Measurement {
  readonly day: string;
  /** Seconds since 1970. */
  readonly measured: number;
}

const Measured = Stored.transform(
  ({ looked_at, ...rest }): StoredMeasurement => ({ ...rest, lookedAt: looked_at }),
);

/** A second measurement of a day replaces the first. */
export const saveMeasurements = (found: readonly Measurement[], at: Date) =>
  query(
    sql`insert into retention.quality
        (policy, day, measure, subject, status, found, looked_at, share, most, sampled, keys, detail, measured_at)
      select x.policy, (${at.toISOString()}::timestamptz at time zone 'UTC')::date, x.measure, x.subject, x.status, x.found,
        x."lookedAt", x.share, x.most, x.sampled, x.keys[1:${constant(MOST_KEYS)}], x.detail, ${at.toISOString()}::timestamptz
      from jsonb_to_recordset(${JSON.stringify(found)}::jsonb) x(policy text, measure text, subject text, status text,
        found float8, "lookedAt" float8, share float8, most float8, sampled boolean, keys text[], detail jsonb)
      on conflict (policy, day, measure, subject) do update set status = excluded.status, found = excluded.found,
        looked_at = excluded.looked_at, share = excluded.share, most = excluded.most, sampled = excluded.sampled,
        keys = excluded.keys, detail = excluded.detail, measured_at = excluded.measured_at`,
    nothing,
  );

export const forgetOld = (at: Date) =>
  query(
    sql`delete from retention.quality
      where day < (${at.toISOString()}::timestamptz at time zone 'UTC')::date - ${constant(HISTORY_DAYS)}`,
    nothing,
  );

const COLUMNS =
  raw(`q.policy, q.day::text, q.measure, q.subject, q.status, q.found, q.looked_at, q.share, q.most,
      q.sampled, q.keys, q.detail, extract(epoch from q.measured_at)::float8 as measured`);

/** The latest day of each policy: two index look-ups a policy, however long the history. */
export const latestMeasurements = (policies: readonly string[]) =>
  query(
    sql`select ${COLUMNS} from jsonb_array_elements_text(${JSON.stringify(policies)}::jsonb) p(name)
      cross join lateral (select l.day from retention.quality l where l.policy = p.name order by l.day desc limit 1) l
      join retention.quality q on q.policy = p.name and q.day = l.day order by q.policy, q.measure, q.subject`,
    rows(Measured),
  );

/** Days from `from` inclusive to `to` exclusive. */
export const measurementsBetween = (from: Date, to: Date) =>
  query(
    sql`select ${COLUMNS} from retention.quality q
      where q.day >= (${from.toISOString()}::timestamptz at time zone 'UTC')::date
        and q.day < (${to.toISOString()}::timestamptz at time zone 'UTC')::date
      order by q.day, q.policy, q.measure, q.subject`,
    rows(Measured),
  );

/** Policies, the one measured longest ago first: a job that ran out of time continues where it stopped. */
export const measuredLongestAgo = (policies: readonly string[]) =>
  query(
    sql`select p.name from jsonb_array_elements_text(${JSON.stringify(policies)}::jsonb) with ordinality p(name, n)
      left join lateral (
        select l.measured_at from retention.quality l where l.policy = p.name order by l.day desc limit 1) l on true
      order by l.measured_at nulls first, p.n`,
    rows(z.object({ name: z.string() })),
  );
