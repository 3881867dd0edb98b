/** `retention.quality`: a measurement a day and subject, the latest and HISTORY_DAYS before. */
import type { Row, Statement } from '../../platform/database';
import { type Measurement, MOST_KEYS } from './measurement';

/** Two quarters of a year side by side. */
export const HISTORY_DAYS = 190;

/** A second measurement of a day replaces the first. */
export const saveMeasurements = (found: readonly Measurement[], at: Date): Statement => ({
  text: `insert into retention.quality (policy, day, measure, subject, status, found, looked_at, share, most, sampled, keys, detail, measured_at)
    select x.policy, ($2::timestamptz at time zone 'UTC')::date, x.measure, x.subject, x.status, x.found, x."lookedAt", x.share, x.most, x.sampled,
      x.keys[1:${MOST_KEYS}], x.detail, $2::timestamptz
    from jsonb_to_recordset($1::jsonb) x(policy text, measure text, subject text, status text, found float8, "lookedAt" float8, share float8,
      most float8, sampled boolean, keys text[], detail jsonb)
    on conflict (policy, day, measure, subject) do update set status = excluded.status, found = excluded.found, looked_at = excluded.looked_at,
      share = excluded.share, most = excluded.most, sampled = excluded.sampled, keys = excluded.keys, detail = excluded.detail,
      measured_at = excluded.measured_at`,
  params: [JSON.stringify(found), at.toISOString()],
});

export const forgetOld = (at: Date): Statement => ({
  text: `delete from retention.quality where day < ($1::timestamptz at time zone 'UTC')::date - ${HISTORY_DAYS}`,
  params: [at.toISOString()],
});

const COLUMNS = `q.policy, q.day::text, q.measure, q.subject, q.status, q.found, q.looked_at, q.share, q.most, q.sampled, q.keys, q.detail`;

/** The latest day of each policy: two index look-ups a policy, however long the history. */
export const latestMeasurements = (policies: readonly string[]): Statement => ({
  text: `select ${COLUMNS}, extract(epoch from q.measured_at)::float8 as measured
    from jsonb_array_elements_text($1::jsonb) p(name)
    cross join lateral (select l.day from retention.quality l where l.policy = p.name order by l.day desc limit 1) l
    join retention.quality q on q.policy = p.name and q.day = l.day order by q.policy, q.measure, q.subject`,
  params: [JSON.stringify(policies)],
});

/** Days from `from` inclusive to `to` exclusive. */
export const measurementsBetween = (from: Date, to: Date): Statement => ({
  text: `select ${COLUMNS}, extract(epoch from q.measured_at)::float8 as measured from retention.quality q
    where q.day >= ($1::timestamptz at time zone 'UTC')::date and q.day < ($2::timestamptz at time zone 'UTC')::date
    order by q.day, q.policy, q.measure, q.subject`,
  params: [from.toISOString(), to.toISOString()],
});

/** Policies, the one measured longest ago first: a job that ran out of time goes on where it stopped. */
export const measuredLongestAgo = (policies: readonly string[]): Statement => ({
  text: `select p.name from jsonb_array_elements_text($1::jsonb) with ordinality p(name, n)
    left join lateral (select l.measured_at from retention.quality l where l.policy = p.name order by l.day desc limit 1) l on true
    order by l.measured_at nulls first, p.n`,
  params: [JSON.stringify(policies)],
});

export interface StoredMeasurement extends Measurement {
  readonly day: string;
}

export const readMeasurements = (rows: readonly Row[]): StoredMeasurement[] =>
  rows.map(
    ({ looked_at: lookedAt, measured: _, ...rest }) =>
      ({ ...rest, lookedAt }) as unknown as StoredMeasurement,
  );
