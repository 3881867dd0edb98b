import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runPolicy } from '@/lib/engine/run/run';
import {
  DAY,
  databaseClock,
  type Engine,
  engine,
  left,
  protect,
  runRequest,
  thingsPolicy,
} from '@/test/support/engine';

/** The instants around every change of a clock from 2020 to 2030, one zone for all that change alike. */
const CHANGES = `zones as materialized (
    select name from pg_timezone_names where name !~ '^(posix|right)/'
  ),
  days as (
    select z.name, d, (d at time zone z.name) - (d at time zone 'UTC') as gap,
      lead((d at time zone z.name) - (d at time zone 'UTC')) over (partition by z.name order by d) as next
    from zones z, generate_series('2020-01-01Z'::timestamptz, '2030-12-31Z', interval '1 day') d
  ),
  changes as materialized (
    select min(name) as zone, gap, next, (
      select min(m) from generate_series(d, d + interval '1 day', interval '1 minute') m
      where (m at time zone min(name)) - (m at time zone 'UTC') = next
    ) as at
    from days where gap <> next group by gap, next, d
  )`;

describe('a time without a zone', () => {
  let e: Engine;
  beforeEach(async () => {
    e = await engine();
  });
  afterEach(() => e.stop());

  it('counts as older only if it is in every hour it may mean, at all changes of all clocks from 2020 to 2030', async () => {
    // Minutes either side of the change: of the cutoff, of the moment a row was written, and of a row that names no moment.
    const [found] = await e.db.sql(`with ${CHANGES},
      cutoffs as materialized (
        select zone, gap, next, at, c, retention.local_time(c, zone) as bound
        from changes, generate_series(at - interval '4 hours', at + interval '4 hours', interval '7 minutes') c
      ),
      written as (
        select count(*) filter (where w at time zone zone < bound and w >= c) as early, count(*) as tried
        from cutoffs, generate_series(at - interval '4 hours', at + interval '4 hours', interval '13 minutes') w
      ),
      -- PostgreSQL's own reading of a local time: the later of two, and of none the one before the change.
      named as (
        select count(*) filter (where t < bound and t at time zone zone >= c) as early, count(*) as tried
        from cutoffs, generate_series((at at time zone zone) - interval '4 hours', (at at time zone zone) + interval '4 hours', interval '11 minutes') t
      )
      select (select count(distinct zone) from changes)::int as zones, (select count(*) from changes)::int as changes,
        written.early::int as written, named.early::int as named, written.tried > 100000 and named.tried > 100000 as enough,
        -- Never later than the change itself is large, and exact away from it.
        (select count(*) from cutoffs where (c at time zone zone) - bound not between interval '0' and greatest(gap - next, next - gap))::int as lazy,
        (select count(*) from changes, unnest(array[at - interval '2 days', at + interval '2 days']) c
          where retention.local_time(c, zone) <> c at time zone zone)::int as inexact
      from written, named`);
    expect(found).toMatchObject({ written: 0, named: 0, enough: true, lazy: 0, inexact: 0 });
    expect(found?.zones).toBeGreaterThan(20);
    expect(found?.changes).toBeGreaterThan(200);
  });

  it('in the hour that comes twice goes only once both have passed', async () => {
    await e.db.sql(`create table things (id uuid primary key default gen_random_uuid(), at timestamp);
      create index on things (at, id); grant select, update, delete on things to lapse_app`);
    await e.db.sql("insert into things (at) values ('2025-11-02 01:15'), ('2025-11-02 00:15')");
    const clock = { column: 'at', type: 'timestamp' as const, zone: 'America/New_York' };
    const policy = thingsPolicy({ clock, scope: {} });
    await protect(e.db, policy);
    const at = async (cutoff: string) => {
      const now = new Date(Date.parse(cutoff) + 30 * DAY * 1000);
      await databaseClock(e.db, now);
      return runPolicy({ ...e.services, clock: () => now }, policy, runRequest(now));
    };
    // 01:45 in summer time: 01:15 is past in one reading, and half an hour ahead in the other.
    expect(await at('2025-11-02T05:45:00Z')).toMatchObject({ outcome: 'succeeded', deleted: 1 });
    expect(await left(e.db)).toBe(1);
    expect(await at('2025-11-02T06:16:00Z')).toMatchObject({ outcome: 'succeeded', deleted: 1 });
  });

  it('is found by the index', async () => {
    await e.db.sql(`create table things (id int primary key, at timestamp);
      insert into things select i, timestamp '2020-01-01' + i * interval '1 hour' from generate_series(1, 20000) i;
      create index on things (at, id); analyze things`);
    const plan = await e.db.sql(
      "explain select 1 from things where at < retention.local_time($1::timestamptz, 'Europe/Zurich') order by at, id limit 10",
      ['2020-03-01T00:00:00Z'],
    );
    expect(JSON.stringify(plan)).toContain('Index Cond');
  });
});
