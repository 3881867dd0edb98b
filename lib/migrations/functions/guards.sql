-- What decides whether a run may begin to delete: versions, periods, overrides, approvals.

create or replace function retention.remember_override() returns trigger
language plpgsql security invoker set search_path = pg_catalog, pg_temp as $$
begin
  if tg_op = 'DELETE' or old.keep_seconds is distinct from new.keep_seconds
    or old.policy <> new.policy or old.tenant <> new.tenant then
    insert into retention.past_override (policy, tenant, keep_seconds, set_by, ended_at)
      values (old.policy, old.tenant, old.keep_seconds, old.set_by, retention.clock());
  end if;
  return null;
end $$;
comment on function retention.remember_override() is 'Keeps what an override was when it is changed or removed.';

-- The longest period by label over this declaration and every version in force within the cooling-off. A
-- declaration that reaches other rows cannot be compared by periods: it waits until the others have cooled off. One that
-- was never in force (refused before its first delete) has nothing to cool off from.
create or replace function retention.effective_periods(
  p text, r text, declared jsonb, at timestamptz, cooling interval, out periods jsonb, out waits_until timestamptz
) language sql stable security invoker set search_path = pg_catalog, pg_temp as $$
  with others as (
    select * from retention.policy_version v
    where v.policy = p and v.in_force_at is not null and cooling > interval '0' and coalesce(v.superseded_at, at) > at - cooling
  )
  select
    coalesce((
      select jsonb_object_agg(d.key, (
        select case when bool_or(x.seconds is null) then null else max(x.seconds) end
        from (
          select (d.value #>> '{}')::bigint as seconds
          union all select (o.periods ->> d.key)::bigint from others o where o.reach = r and o.periods ? d.key
        ) x))
      from jsonb_each(declared) d
    ), '{}'),
    (select max(coalesce(o.superseded_at, at)) + cooling from others o where o.reach <> r)
$$;
comment on function retention.effective_periods(text, text, jsonb, timestamptz, interval) is
  'Periods that count now, and until when a declaration with another reach has to wait.';

-- Tenants that are under another label now than was last seen, or were never seen: the old label ends, the new one
-- begins. What a tenant was under keeps counting for the cooling-off.
create or replace function retention.observe_labels(p text, tenants text[], labels text[]) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  update retention.tenant_label h set ended_at = greatest(retention.clock(), h.seen_at) from unnest(tenants, labels) l(tenant, label)
    where h.policy = p and h.tenant = l.tenant and h.ended_at is null and h.label <> l.label;
  insert into retention.tenant_label as h (policy, tenant, label, seen_at)
    select p, l.tenant, l.label, retention.clock() from unnest(tenants, labels) l(tenant, label)
    on conflict (policy, tenant, label) do update set ended_at = null where h.ended_at is not null;
end $$;
comment on function retention.observe_labels(text, text[], text[]) is 'Remembers under which rule each of these tenants is now.';

-- Within begin_run's transaction, which holds the policy's lock exclusively. `whole` is the declaration itself: what changes
-- no row's fate, such as the schedule, changes in it without another version.
create or replace function retention.declare_version(p text, v text, r text, declared jsonb, who text, whole jsonb) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  at timestamptz;
begin
  -- A clock set back must not make an older version look cooled off.
  at := greatest(retention.clock(), (select max(greatest(declared_at, superseded_at)) from retention.policy_version where policy = p));
  update retention.policy_version set superseded_at = at where policy = p and version <> v and superseded_at is null;
  insert into retention.policy_version (policy, version, reach, periods, declared_by, declared_at, declaration)
    values (p, v, r, declared, who, at, whole)
    on conflict (policy, version) do update set superseded_at = null, declaration = excluded.declaration
      where policy_version.superseded_at is not null or policy_version.declaration is distinct from excluded.declaration;
end $$;
comment on function retention.declare_version(text, text, text, jsonb, text, jsonb) is
  'Makes this version the one in force and ends the one before it.';

-- All that decides whether a run may begin to delete, as one value.
create or replace function retention.admission(
  p text, v text, r text, declared jsonb, at timestamptz, cooling interval, relation text
) returns jsonb language sql stable security invoker set search_path = pg_catalog, pg_temp as $$
  select jsonb_build_object(
    'periods', e.periods,
    'waits_until', to_char(e.waits_until at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
    'clean_runs', coalesce((select clean_runs from retention.policy_version where policy = p and version = v), 0),
    -- By its name: to_regclass raises where the caller may not use the schema, and the preflight is to say that.
    'estimate', (select c.reltuples::bigint from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = (parse_ident(relation))[1] and c.relname = (parse_ident(relation))[2]),
    'usual', (
      select jsonb_build_object('runs', count(*), 'median', percentile_cont(0.5) within group (order by x.deleted))
      from (
        select deleted from retention.run
        where policy = p and mode = 'delete' and deleted > 0 and approval is null and finished_at is not null
          and (outcome = 'succeeded' or (outcome = 'interrupted' and reason = 'time'))
          and retention.run_reason(id) <> 'erasure'
        order by started_at desc limit 20
      ) x),
    'approval', (
      select jsonb_build_object('id', a.id, 'digest', a.digest, 'expired', a.expired, 'used', a.used_at is not null,
        'as_of', to_char(a.as_of at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
        'expires_at', to_char(a.expires_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
        'gone', (select coalesce(sum(c.deleted), 0) from retention.run u join retention.receipt c on c.run = u.id where u.approval = a.id))
      from retention.approval a
      -- Once begun, its pass may take a few nights.
      where a.policy = p and a.version = v and a.done_at is null and a.voided_at is null
        and case when a.used_at is null then a.expires_at > retention.clock() else a.used_at > retention.clock() - interval '3 days' end
      order by a.used_at desc nulls last, a.approved_at desc limit 1)
  ) from retention.effective_periods(p, r, declared, at, cooling) e
$$;
comment on function retention.admission(text, text, text, jsonb, timestamptz, interval, text) is
  'Effective periods, rollout, size of the table, usual run and open approval of a policy, as one value.';

-- Row after row into one hash: started again with its last result, it continues, so that it does not matter how many rows
-- come at a time.
create or replace function retention.chain_rows(before text, rows text[]) returns text
language plpgsql immutable parallel safe security invoker set search_path = pg_catalog, pg_temp as $$
declare
  h bytea := decode(before, 'hex');
  one text;
begin
  foreach one in array rows loop
    h := sha256(h || sha256(convert_to(one, 'UTF8')));
  end loop;
  return encode(h, 'hex');
end $$;
comment on function retention.chain_rows(text, text[]) is 'A hash over rows in their order: the same rows, the same hash.';
