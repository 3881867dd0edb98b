-- The two questions about time that are answered in one place.

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
