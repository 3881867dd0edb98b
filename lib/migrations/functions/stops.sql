-- Stopping and resuming: one policy or all, a stuck lease, a breaker. Each function changes and writes its entry of
-- the chain, under the same name; the app has no other way. Returns the entry, or nothing when nothing applied.

create or replace function retention.pause_policy(who text, why text, p text) returns setof retention.audit_entry
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  st retention.policy_state;
begin
  insert into retention.policy_state as s (policy, paused, paused_by, paused_reason, paused_at)
    values (p, true, who, why, clock_timestamp())
    on conflict (policy) do update set paused = true, paused_by = excluded.paused_by,
      paused_reason = excluded.paused_reason, paused_at = excluded.paused_at
      where not s.paused
    returning * into st;
  if st.policy is null then
    return;
  end if;
  return query select * from retention.record_operator(who, 'policy.paused', p, why, jsonb_build_object('run', st.run_now));
end $$;
comment on function retention.pause_policy(text, text, text) is 'Stops one policy at its next batch; when it returns, no older batch runs.';

create or replace function retention.resume_policy(who text, why text, p text) returns setof retention.audit_entry
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  st retention.policy_state;
begin
  select * into st from retention.policy_state where policy = p and paused for update;
  if st.policy is null then
    return;
  end if;
  perform retention.refuse_same(who, st.paused_by);
  update retention.policy_state set paused = false, paused_by = null, paused_reason = null, paused_at = null where policy = p;
  return query select * from retention.record_operator(who, 'policy.resumed', p, why,
    jsonb_build_object('paused_by', st.paused_by, 'paused_at', st.paused_at));
end $$;
comment on function retention.resume_policy(text, text, text) is 'Lets a policy run again that somebody else paused.';

create or replace function retention.stop_all(who text, why text) returns setof retention.audit_entry
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  update retention.kill_switch set stopped = true, stopped_by = who, reason = why, stopped_at = clock_timestamp() where not stopped;
  if not found then
    return;
  end if;
  return query select * from retention.record_operator(who, 'all.stopped', 'all', why, '{}');
end $$;
comment on function retention.stop_all(text, text) is 'Stops every policy at its next batch; when it returns, no older batch runs.';

create or replace function retention.resume_all(who text, why text) returns setof retention.audit_entry
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  k retention.kill_switch;
begin
  select * into k from retention.kill_switch where stopped for update;
  if k.stopped is null then
    return;
  end if;
  perform retention.refuse_same(who, k.stopped_by);
  update retention.kill_switch set stopped = false, stopped_by = null, reason = null, stopped_at = null;
  return query select * from retention.record_operator(who, 'all.resumed', 'all', why,
    jsonb_build_object('stopped_by', k.stopped_by, 'stopped_at', k.stopped_at));
end $$;
comment on function retention.resume_all(text, text) is 'Takes back the stop for all that somebody else made.';

-- The fence first: a run that held the lease deletes nothing more, whatever it still believes.
create or replace function retention.release_lease(who text, why text, p text) returns setof retention.audit_entry
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  st retention.policy_state;
  moved bigint;
begin
  select * into st from retention.policy_state where policy = p for update;
  if st.policy is null then
    return;
  end if;
  update retention.policy_state set fence = fence + 1, run_now = null where policy = p returning fence into moved;
  return query select * from retention.record_operator(who, 'lease.released', p, why,
    jsonb_build_object('run', st.run_now, 'fence', moved));
end $$;
comment on function retention.release_lease(text, text, text) is 'Moves the fence of a policy past its runner.';

-- The breaker itself is in Redis.
create or replace function retention.note_breaker_closed(who text, why text, p text) returns setof retention.audit_entry
language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
  select * from retention.record_operator(who, 'breaker.closed', p, why, '{}')
$$;
comment on function retention.note_breaker_closed(text, text, text) is 'Records that a breaker is closed by hand.';
