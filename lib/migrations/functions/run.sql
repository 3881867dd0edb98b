-- A run's record from its beginning to its end, and what its end means. The functions run as their owner: records of
-- runs, fences, versions and their rollout have no other writer.

-- Begins a run: closes what an earlier run left open, moves the fence, writes the record. Waits for a running batch.
-- Asked again by the same run, whose first answer was lost, it answers the same and changes nothing.
create or replace function retention.begin_run(
  p text, r uuid, v text, started timestamptz, how text, who text, correlation text, what_for text default null,
  out fence bigint, out as_of timestamptz, out refused text
) language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  mine record;
begin
  insert into retention.policy_state (policy) values (p) on conflict do nothing;
  -- In a statement of its own: what the first request wrote is seen only after waiting for it.
  perform 1 from retention.policy_state where policy = p for update;
  select run.fence, run.as_of into mine from retention.run where id = r and policy = p and mode = 'delete';
  if found then
    fence := mine.fence;
    as_of := mine.as_of;
    return;
  end if;
  if (select stopped from retention.kill_switch) is distinct from false then
    refused := 'stopped';
    return;
  end if;
  update retention.policy_state s set fence = s.fence + 1, run_now = r, version = v
    where s.policy = p and not s.paused
    returning s.fence into fence;
  if fence is null then
    refused := 'paused';
    return;
  end if;
  -- A clock that runs ahead must not make anything expire early.
  as_of := least(started, retention.clock());
  perform retention.close_run(lost.id, 'interrupted', 'lost', started, null, null, null)
    from retention.run lost where lost.policy = p and lost.finished_at is null and lost.mode = 'delete';
  insert into retention.run (id, policy, mode, trigger, actor, correlation_id, fence, policy_version, as_of, started_at, purpose)
    values (r, p, 'delete', how, who, correlation, fence, v, as_of, started, what_for);
end $$;
comment on function retention.begin_run(text, uuid, text, timestamptz, text, text, text, text) is
  'Moves the fence and opens the run''s record; refused says paused or stopped, and nothing was changed.';

-- Before the run is tried: whoever asked has said why, whatever comes of it.
create or replace function retention.note_run_asked(who text, why text, p text, r uuid) returns setof retention.audit_entry
language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
  select * from retention.record_operator(who, 'run.asked', r::text, why, jsonb_build_object('policy', p))
$$;
comment on function retention.note_run_asked(text, text, text, uuid) is
  'Notes in the chain who asked for a run at once, and why.';

-- Counts come from the receipts: they are right also when the runner died before it could tell. Sums of bytes, which
-- rows claim, stop at the largest whole number that every reader takes.
create or replace function retention.close_run(
  r uuid, how text, why text, at timestamptz, looked_at bigint, stayed jsonb, sla text, below jsonb default null
) returns void language plpgsql volatile security invoker set search_path = pg_catalog, pg_temp as $$
begin
  update retention.run set
    outcome = how, reason = why, finished_at = greatest(at, started_at), sla_status = sla,
    duration_seconds = extract(epoch from greatest(at, started_at) - started_at),
    batches = t.batches, deleted = t.deleted, dependants_deleted = t.dependants, files_queued = t.files,
    bytes_freed = t.bytes, by_rule = t.by_rule,
    picked = coalesce(looked_at, t.picked), kept = coalesce(stayed, '{}'), kept_below = coalesce(below, '{}')
  from (
    select count(*) as batches, coalesce(sum(c.deleted), 0) as deleted,
      coalesce(sum(c.dependants_deleted), 0) as dependants, coalesce(sum(c.files), 0) as files,
      least(coalesce(sum(c.bytes), 0), 9007199254740991) as bytes, coalesce(sum(c.picked), 0) as picked,
      coalesce((
        select jsonb_object_agg(x.label, jsonb_build_object('deleted', x.deleted, 'bytes', x.bytes))
        from (
          select e.key as label, sum((e.value->>'deleted')::bigint) as deleted, least(sum((e.value->>'bytes')::numeric), 9007199254740991) as bytes
          from retention.receipt i cross join lateral jsonb_each(i.by_rule) e where i.run = r group by e.key
        ) x
      ), '{}') as by_rule
    from retention.receipt c where c.run = r
  ) t
  where run.id = r and run.finished_at is null;
end $$;
comment on function retention.close_run(uuid, text, text, timestamptz, bigint, jsonb, text, jsonb) is
  'Ends a run''s record with counts taken from its receipts.';

-- Ends a run: no batch of it can commit afterwards.
create or replace function retention.end_run(
  p text, r uuid, how text, why text, at timestamptz, looked_at bigint, stayed jsonb, sla text, below jsonb default null
) returns void language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  -- A run of another policy may still be deleting: it is not this caller's to end.
  if not exists (select 1 from retention.run where id = r and policy = p) then
    return;
  end if;
  update retention.policy_state set run_now = null where policy = p and run_now = r;
  perform retention.close_run(r, how, why, at, looked_at, stayed, sla, below);
end $$;
comment on function retention.end_run(text, uuid, text, text, timestamptz, bigint, jsonb, text, jsonb) is
  'Takes the right to delete from the run, waiting for a batch still under way, then ends its record.';

-- What a dry run found: Lapse's own record, never a deletion.
create or replace function retention.record_preview(
  p text, r uuid, v text, started timestamptz, finished timestamptz, counted_from timestamptz, how text, who text, correlation text,
  ended text, why text, seen jsonb, stayed jsonb, sla text
) returns void language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into retention.policy_state (policy) values (p) on conflict do nothing;
  insert into retention.run (id, policy, mode, trigger, actor, correlation_id, fence, policy_version, as_of,
      started_at, finished_at, outcome, reason, preview, kept, kept_below, duration_seconds, sla_status)
    values (r, p, 'dry_run', how, who, correlation, 0, v, counted_from, started, finished, ended, why, seen, stayed, coalesce(seen -> 'keptBelow', '{}'),
      extract(epoch from finished - started), sla);
end $$;
comment on function retention.record_preview(text, uuid, text, timestamptz, timestamptz, timestamptz, text, text, text, text, text, jsonb, jsonb, text) is
  'Records a dry run after its READ ONLY transactions.';

create or replace function retention.run_reason(r uuid) returns text
language sql stable security invoker set search_path = pg_catalog, pg_temp as $$
  select c.reason from retention.receipt c where c.run = r order by c.seq limit 1
$$;
comment on function retention.run_reason(uuid) is 'Why a run deleted: the reason its receipts give. Null when it deleted nothing.';

-- A clean run that deleted something is one step of the rollout; one that was limited by hand, set rows aside
-- or erased on request is none. When all that was approved has gone, the approval has ended, and, when no row of it had to
-- be set aside, so has the rollout: there is nothing left to try out on ten rows. A version is in force from the first
-- run that could have deleted.
create or replace function retention.run_ended() returns trigger
language plpgsql security invoker set search_path = pg_catalog, pg_temp as $$
begin
  if new.deleted > 0 and new.approval is null
    and (new.outcome = 'succeeded' or (new.outcome = 'interrupted' and new.reason in ('rollout', 'time')))
    and not exists (select 1 from retention.dead_letter l where l.run = new.id)
    and retention.run_reason(new.id) <> 'erasure' then
    update retention.policy_version set clean_runs = clean_runs + 1
      where policy = new.policy and version = new.policy_version;
  end if;
  if new.approval is not null and (new.outcome = 'succeeded' or (new.outcome = 'interrupted' and new.reason = 'approval')) then
    update retention.approval set done_at = new.finished_at where id = new.approval;
    if exists (select 1 from retention.run u where u.approval = new.approval and u.deleted > 0)
      and not exists (select 1 from retention.dead_letter l join retention.run u on u.id = l.run where u.approval = new.approval) then
      -- Three steps: ten, a hundred, a thousand (lib/engine/guard/rollout.ts).
      update retention.policy_version set clean_runs = greatest(clean_runs, 3)
        where policy = new.policy and version = new.policy_version;
    end if;
  end if;
  if new.deleted > 0 or not (new.outcome = 'errored' or (new.outcome = 'skipped' and new.reason = 'cooling')) then
    update retention.policy_version set in_force_at = retention.clock()
      where policy = new.policy and version = new.policy_version and in_force_at is null;
  end if;
  -- Atomic with the end of the run: what is recorded as finished is sealed.
  perform retention.seal_run(new.id);
  return null;
end $$;
comment on function retention.run_ended() is 'What the end of a run means for the rollout of its version, for its approval and for the audit chain.';

create or replace function retention.artifact_event() returns trigger
language plpgsql volatile security invoker set search_path = pg_catalog, pg_temp as $$
begin
  insert into retention.audit_event (event, run, total_orgs, artifacts_deleted, bytes_freed, by_tier)
  select 'ARTIFACT_RETENTION_DELETE', new.id,
    (select count(distinct tenant) from retention.tenant_total where run = new.id), new.deleted, new.bytes_freed,
    coalesce((select jsonb_object_agg(x.label, jsonb_build_object('orgs', x.orgs, 'deleted', x.deleted, 'bytes', x.bytes)) from (
      select label, count(*) as orgs, sum(deleted) as deleted, sum(bytes) as bytes
      from retention.tenant_total where run = new.id group by label
    ) x), '{}')
  on conflict (run) do nothing;
  return null;
end $$;
comment on function retention.artifact_event() is 'Writes ARTIFACT_RETENTION_DELETE when a run of the artifact policy ends.';
