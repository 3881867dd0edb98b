-- Holds, extensions and overrides: what may not be deleted, or later. Each function changes and writes its entry of
-- the chain, under the same name; the app has no other way. Returns the entry, or nothing when nothing applied.
-- Waiting for the running batches is done by the trigger of each table.

-- `once`: of the form that asks, so that one that is sent twice is refused by the key. Made a UUID of version 4, which readers check.
create or replace function retention.place_hold(
  who text, why text, kind text, whom text, relation text, review timestamptz default null, once uuid default null
) returns setof retention.audit_entry
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  h retention.hold;
begin
  insert into retention.hold (id, scope, subject, table_name, reason, placed_by, placed_at, review_at)
    values (coalesce(overlay(overlay(md5(once::text || ':' || whom) placing '4' from 13) placing '8' from 17)::uuid, gen_random_uuid()), kind, whom, relation, why, who, clock_timestamp(), review)
    returning * into h;
  return query select * from retention.record_operator(who, 'hold.placed', h.id::text, why,
    jsonb_build_object('scope', h.scope, 'subject', h.subject, 'table', h.table_name, 'review_at', h.review_at));
end $$;
comment on function retention.place_hold(text, text, text, text, text, timestamptz, uuid) is 'Places a hold; when it returns, no older batch runs.';

create or replace function retention.release_hold(who text, why text, hold_id uuid) returns setof retention.audit_entry
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  h retention.hold;
begin
  update retention.hold set released_by = who, released_at = clock_timestamp(), release_reason = why
    where id = hold_id and released_at is null and placed_by <> who returning * into h;
  if h.id is null then
    return;
  end if;
  return query select * from retention.record_operator(who, 'hold.released', h.id::text, why,
    jsonb_build_object('scope', h.scope, 'subject', h.subject, 'table', h.table_name, 'placed_by', h.placed_by));
end $$;
comment on function retention.release_hold(text, text, uuid) is 'Releases a hold that somebody else placed.';

-- Whoever looked says until when it may stay without another look. Lets nothing go, so that one person is enough.
create or replace function retention.review_hold(who text, why text, hold_id uuid, next timestamptz) returns setof retention.audit_entry
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set timezone = 'UTC' as $$
declare
  h retention.hold;
begin
  update retention.hold set review_at = next where id = hold_id and released_at is null returning * into h;
  if h.id is null then
    return;
  end if;
  return query select * from retention.record_operator(who, 'hold.reviewed', h.id::text, why, jsonb_build_object('review_at', h.review_at));
end $$;
comment on function retention.review_hold(text, text, uuid, timestamptz) is 'Keeps a hold that was looked at, and names the next day to look.';

-- Keeping shorter than before counts only when `cooling` seconds have passed.
create or replace function retention.set_extension(who text, why text, relation text, item text, until timestamptz, cooling double precision)
returns setof retention.audit_entry
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set timezone = 'UTC' as $$
declare
  e retention.extension;
begin
  insert into retention.extension as x (table_name, row_key, keep_until, reason, extended_by)
    values (relation, item, until, why, who)
    on conflict (table_name, row_key) do update set reason = excluded.reason, extended_by = excluded.extended_by,
      keep_until = greatest(excluded.keep_until, least(x.keep_until, retention.clock() + make_interval(secs => cooling)))
    returning * into e;
  return query select * from retention.record_operator(who, 'extension.set', e.table_name || ' ' || e.row_key, why,
    jsonb_build_object('keep_until', e.keep_until));
end $$;
comment on function retention.set_extension(text, text, text, text, timestamptz, double precision) is 'Keeps one row longer than its policy says.';

-- All or none, each row with its entry: who asks later why a row is still here finds the entry by the row's key.
create or replace function retention.set_extensions(
  who text, why text, relation text, items text[], until timestamptz, cooling double precision
) returns setof retention.audit_entry
language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
  select retention.prove_operator(who);
  select e.* from unnest(items) i cross join lateral retention.set_extension(who, why, relation, i, until, cooling) e
$$;
comment on function retention.set_extensions(text, text, text, text[], timestamptz, double precision) is
  'Keeps these rows longer than their policy says.';

create or replace function retention.end_extension(who text, why text, relation text, item text, cooling double precision)
returns setof retention.audit_entry
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set timezone = 'UTC' as $$
declare
  e retention.extension;
begin
  update retention.extension set keep_until = least(keep_until, retention.clock() + make_interval(secs => cooling))
    where table_name = relation and row_key = item and keep_until > retention.clock() returning * into e;
  if e.id is null then
    return;
  end if;
  return query select * from retention.record_operator(who, 'extension.ended', e.table_name || ' ' || e.row_key, why,
    jsonb_build_object('keep_until', e.keep_until));
end $$;
comment on function retention.end_extension(text, text, text, text, double precision) is 'Ends an extension, not before the cooling-off is over.';

-- `seconds` null keeps forever. The previous period keeps counting for the cooling-off (remember_override).
create or replace function retention.set_override(who text, why text, p text, whose text, seconds bigint)
returns setof retention.audit_entry
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  o retention.period_override;
begin
  insert into retention.period_override (policy, tenant, keep_seconds, reason, set_by) values (p, whose, seconds, why, who)
    on conflict (policy, tenant) do update set keep_seconds = excluded.keep_seconds, reason = excluded.reason, set_by = excluded.set_by
    returning * into o;
  return query select * from retention.record_operator(who, 'override.set', o.policy || ' ' || o.tenant, why,
    jsonb_build_object('keep_seconds', o.keep_seconds));
end $$;
comment on function retention.set_override(text, text, text, text, bigint) is 'Gives one organization a period of its own under one policy.';

create or replace function retention.remove_override(who text, why text, p text, whose text) returns setof retention.audit_entry
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  o retention.period_override;
begin
  delete from retention.period_override where policy = p and tenant = whose returning * into o;
  if o.policy is null then
    return;
  end if;
  return query select * from retention.record_operator(who, 'override.removed', o.policy || ' ' || o.tenant, why,
    jsonb_build_object('keep_seconds', o.keep_seconds));
end $$;
comment on function retention.remove_override(text, text, text, text) is 'Takes an organization''s own period away; it counts until the cooling-off is over.';

-- A soft deletion taken back: the extension that keeps the policy from marking the row again, the record and the
-- entry. The mark itself is taken off by the statement that calls this.
create or replace function retention.note_restoration(
  who text, why text, p text, relation text, item text, marked_at timestamptz, until timestamptz
) returns setof retention.audit_entry
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set timezone = 'UTC' as $$
declare
  e retention.extension;
begin
  insert into retention.extension as x (table_name, row_key, keep_until, reason, extended_by)
    values (relation, item, until, why, who)
    on conflict (table_name, row_key) do update set keep_until = greatest(x.keep_until, excluded.keep_until),
      reason = excluded.reason, extended_by = excluded.extended_by
    returning * into e;
  insert into retention.restoration (policy, table_name, row_key, deleted_at, keep_until, reason, restored_by)
    values (p, relation, item, marked_at, e.keep_until, why, who);
  return query select * from retention.record_operator(who, 'row.restored', relation || ' ' || item, why,
    jsonb_build_object('policy', p, 'deleted_at', marked_at, 'keep_until', e.keep_until));
end $$;
comment on function retention.note_restoration(text, text, text, text, text, timestamptz, timestamptz) is
  'Records that a soft deletion was taken back, and keeps the row as long again.';
