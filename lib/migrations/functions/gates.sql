-- The exclusive side of the locks: triggers, so that no path can forget them.

-- The exclusive side of lock (7001, 0): what may not be deleted waits for the running batches of all policies.
create or replace function retention.gate() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  perform pg_advisory_xact_lock(7001, 0);
  return null;
end $$;
comment on function retention.gate() is 'Statement trigger: waits for every running batch. Put it on each table that a policy''s decision is read from.';

create or replace function retention.gate_policy() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  perform pg_advisory_xact_lock(7001, old.lock_id);
  new.updated_at := clock_timestamp();
  return new;
end $$;
comment on function retention.gate_policy() is 'Row trigger of policy_state: pause, takeover and seal wait for the policy''s running batch.';

create or replace function retention.touch() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  new.updated_at := clock_timestamp();
  return new;
end $$;
comment on function retention.touch() is 'Keeps updated_at true.';
