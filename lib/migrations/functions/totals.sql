-- Totals of finished runs, for the metrics.

create or replace function retention.run_bounds() returns double precision[]
language sql immutable security invoker set search_path = pg_catalog, pg_temp as $$
  select array[0.5, 1, 2.5, 5, 10, 30, 60, 120, 240, 480, 780]::double precision[]
$$;
comment on function retention.run_bounds() is 'Upper bounds in seconds of the histogram of durations: from an idle run to the longest a function may take.';

create or replace function retention.count_run(r retention.run) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  took double precision := coalesce(r.duration_seconds, 0);
  bounds constant double precision[] := retention.run_bounds();
  slot constant int := 1 + (select count(*) from unnest(bounds) b where took > b);
  zeros constant bigint[] := array_fill(0::bigint, array[cardinality(bounds) + 1]);
begin
  insert into retention.run_total (policy, mode, outcome, buckets) values (r.policy, r.mode, r.outcome, zeros)
    on conflict do nothing;
  update retention.run_total set runs = runs + 1, seconds = seconds + took, buckets[slot] = buckets[slot] + 1,
    updated_at = clock_timestamp() where policy = r.policy and mode = r.mode and outcome = r.outcome;
  if r.mode <> 'delete' then
    return;
  end if;
  insert into retention.deleted_total as t (policy, plan, deleted, bytes)
    select r.policy, e.key, (e.value->>'deleted')::bigint, coalesce((e.value->>'bytes')::numeric, 0)
    from jsonb_each(r.by_rule) e where (e.value->>'deleted')::bigint > 0 order by e.key
    on conflict (policy, plan) do update set deleted = t.deleted + excluded.deleted, bytes = t.bytes + excluded.bytes,
      updated_at = clock_timestamp();
  insert into retention.last_run as l (policy, run, started_at, finished_at, outcome, reason, seconds, sla_status,
      deleted, completed_at, drained_at)
    values (r.policy, r.id, r.started_at, r.finished_at, r.outcome, r.reason, took, r.sla_status, r.deleted,
      case when r.outcome = 'succeeded' or (r.outcome = 'interrupted'
        and coalesce(r.reason, '') not in ('lost', 'paused', 'fenced', 'lease')) then r.started_at end,
      case when r.outcome = 'succeeded' then r.finished_at end)
    on conflict (policy) do update set run = excluded.run, started_at = excluded.started_at,
      finished_at = excluded.finished_at, outcome = excluded.outcome, reason = excluded.reason,
      seconds = excluded.seconds, sla_status = excluded.sla_status, deleted = excluded.deleted,
      completed_at = greatest(l.completed_at, excluded.completed_at),
      drained_at = greatest(l.drained_at, excluded.drained_at), updated_at = clock_timestamp()
    where l.started_at <= excluded.started_at;
end $$;
comment on function retention.count_run(retention.run) is
  'Adds a finished run to the totals. Owner''s rights: the app can read the totals, and only the end of a run moves them.';

create or replace function retention.run_counted() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform retention.count_run(new);
  return null;
end $$;
comment on function retention.run_counted() is 'Each run is counted once, in the transaction that ends it.';
