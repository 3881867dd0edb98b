-- The two questions about time that are answered in one place.

-- Waiting times begin and end by this clock: the mark of a soft delete, a cooling-off, a grace period, an approval.
-- Never by a runner's, which may be hours behind. One function, so that a test can set the database's clock.
create or replace function retention.clock() returns timestamptz
language sql volatile security invoker set search_path = pg_catalog, pg_temp as $$
  select clock_timestamp()
$$;
comment on function retention.clock() is 'The database''s clock, by which every waiting time begins and ends.';
