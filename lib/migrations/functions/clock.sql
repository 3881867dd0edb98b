-- The questions about time that are answered in one place.

-- Waiting times begin and end by this clock: the mark of a soft delete, a cooling-off, a grace period, an approval.
-- Never by a runner's, which may be hours behind. One function, so that a test can set the database's clock.
create or replace function retention.clock() returns timestamptz
language sql volatile security invoker set search_path = pg_catalog, pg_temp as $$
  select clock_timestamp()
$$;
comment on function retention.clock() is 'The database''s clock, by which every waiting time begins and ends.';

-- Where a column without a zone stands when an instant comes: whatever is before it was written before the instant,
-- in each hour that such a time may mean. In the day around a change of the clock that is an hour earlier, so that a
-- row written in the hour that comes twice goes only once both have passed. Without a search_path of its own, so
-- that it is inlined and the index answers.
create or replace function retention.local_time(instant timestamptz, zone text) returns timestamp
language sql immutable parallel safe security invoker as $$
  select least(instant at time zone zone,
    ((instant - interval '24 hours') at time zone zone) + interval '24 hours',
    ((instant + interval '24 hours') at time zone zone) - interval '24 hours')
$$;
comment on function retention.local_time(timestamptz, text) is
  'The local time before which every row was written before the instant, whichever of two hours it means.';

-- The one form that sorts as it counts; null for any other text, and for a day that no calendar has. Never an error: what
-- is read as a number has been seen to be one. Without a search_path of its own, so that it is inlined.
create or replace function retention.iso_instant(value text, digits int) returns timestamptz
language sql immutable parallel safe security invoker as $$
  select case when value collate "C" ~ ('^[1-9]\d{3}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d'
      || case when digits = 0 then '' else '\.\d{' || digits::text || '}' end || 'Z$')
    then case when substr(value, 9, 2)::int
        <= extract(day from make_date(substr(value, 1, 4)::int, substr(value, 6, 2)::int, 1) + interval '1 month - 1 day')
      then make_timestamp(substr(value, 1, 4)::int, substr(value, 6, 2)::int, substr(value, 9, 2)::int, substr(value, 12, 2)::int,
        substr(value, 15, 2)::int, rtrim(substr(value, 18), 'Z')::float8) at time zone 'UTC' end end
$$;
comment on function retention.iso_instant(text, int) is
  'The instant that a text in ISO 8601 names, in UTC with so many digits behind the second; null where it is no such text.';
