-- Approvals: given and withdrawn by operators, with the entry of the chain; claimed and voided by the run they are for.

-- What it stands for is read from the dry run's own record, never from the caller.
create or replace function retention.give_approval(who text, why text, p text, approved text)
returns setof retention.audit_entry
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  -- Ten times what the last step of a rollout lets go: more is a table, and a mistake in it nobody restores by hand.
  most_alone constant bigint := 100000;
  a retention.approval;
  maker text;
begin
  insert into retention.approval (policy, version, preview, digest, as_of, expired, facts, expires_at, approved_by, reason, approved_at)
    select r.policy, r.policy_version, r.id, r.preview #>> '{approvable,digest}', r.as_of, (r.preview ->> 'expired')::bigint,
      r.preview, (r.preview #>> '{approvable,expiresAt}')::timestamptz, who, why, retention.clock()
    from retention.run r
    where r.policy = p and r.mode = 'dry_run' and r.preview #>> '{approvable,digest}' = approved
      and (r.preview #>> '{approvable,expiresAt}')::timestamptz > retention.clock()
    limit 1
    returning * into a;
  if a.id is null then
    return;
  end if;
  -- What was asked for with CRON_SECRET has no known person behind it.
  select actor into maker from retention.run where id = a.preview;
  perform retention.refuse_same(who, maker);
  if a.expired > most_alone and retention.is_service(maker) then
    raise exception 'lapse: more than % rows are approved by two people', most_alone using errcode = 'LP024';
  end if;
  return query select * from retention.record_operator(who, 'approval.given', a.id::text, why, jsonb_build_object('policy', a.policy,
    'version', a.version, 'digest', a.digest, 'as_of', a.as_of, 'expired', a.expired, 'expires_at', a.expires_at));
end $$;
comment on function retention.give_approval(text, text, text, text) is
  'Approves the dry run of this digest, which another operator made or, up to 100,000 rows, the schedule.';

-- `seen`: the step that was looked at, so that two people, or one who sends twice, raise it once.
create or replace function retention.raise_rollout(who text, why text, p text, v text, seen int) returns setof retention.audit_entry
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  now_at int;
begin
  update retention.policy_version set clean_runs = clean_runs + 1
    where policy = p and version = v and superseded_at is null and clean_runs = seen returning clean_runs into now_at;
  if now_at is null then
    return;
  end if;
  return query select * from retention.record_operator(who, 'rollout.raised', p, why,
    jsonb_build_object('version', v, 'from', seen, 'to', now_at));
end $$;
comment on function retention.raise_rollout(text, text, text, text, int) is
  'Takes one step of the rollout of the version in force without waiting for a clean run.';

create or replace function retention.withdraw_approval(who text, why text, approval_id uuid)
returns setof retention.audit_entry
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  a retention.approval;
begin
  update retention.approval set voided_at = retention.clock(), void_reason = 'withdrawn: ' || why
    where id = approval_id and done_at is null and voided_at is null returning * into a;
  if a.id is null then
    return;
  end if;
  return query select * from retention.record_operator(who, 'approval.withdrawn', a.id::text, why,
    jsonb_build_object('policy', a.policy, 'digest', a.digest, 'used_by', a.used_by));
end $$;
comment on function retention.withdraw_approval(text, text, uuid) is 'Takes an approval back that is not used up.';

-- Only by the run that may delete now, under the version that was approved.
create or replace function retention.claim_approval(approval_id uuid, r uuid) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  update retention.approval a set used_at = coalesce(a.used_at, retention.clock()), used_by = coalesce(a.used_by, r)
    from retention.policy_state s
    where a.id = approval_id and a.voided_at is null and a.done_at is null
      and s.policy = a.policy and s.run_now = r and s.version = a.version;
  if not found then
    return false;
  end if;
  update retention.run set approval = approval_id where id = r and finished_at is null;
  return found;
end $$;
comment on function retention.claim_approval(uuid, uuid) is 'Lets the current run work under an approval; false when it may not.';

create or replace function retention.void_approval(approval_id uuid, why text) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  update retention.approval set voided_at = retention.clock(), void_reason = why
    where id = approval_id and used_at is null and voided_at is null;
  return found;
end $$;
comment on function retention.void_approval(uuid, text) is 'Ends an unused approval because what was approved is not there any more.';
