-- Dead letters: rows that could not be deleted, and files the store would not delete. Written by the batch that met
-- them; resolved by an operator, by functions that write the entry of the chain. These return it, or nothing when
-- there is no such letter.

-- Sets rows aside, in the transaction that tried them: not tried again for an hour, doubled with each run that fails,
-- a week at most, so that a nightly run tries a fresh one the next night.
create or replace function retention.set_aside(
  p text, relation text, r uuid, s int, counted_from timestamptz, keys text[], states text[], constraints text[]
) returns table (sql_state text, constraint_name text)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  if retention.entered(r, s) is null then
    raise exception 'lapse: this transaction has not entered batch % of run %', s, r using errcode = 'LP012';
  end if;
  return query insert into retention.dead_letter as l (policy, table_name, row_key, sql_state, constraint_name, run, next_attempt_at)
    select p, relation, x.key, x.state, x.constr, r, counted_from + interval '1 hour'
    from unnest(keys, states, constraints) x(key, state, constr) order by x.key
    on conflict (table_name, row_key) where state = 'open' do update set
      attempts = l.attempts + (l.run is distinct from excluded.run)::int, policy = excluded.policy, sql_state = excluded.sql_state,
      run = excluded.run, constraint_name = excluded.constraint_name,
      -- 2^8 hours is past the longest wait: more doublings would only overflow.
      next_attempt_at = counted_from + least(interval '1 hour' * power(2, least(l.attempts, 8)), interval '7 days')
    returning l.sql_state, l.constraint_name;
end $$;
comment on function retention.set_aside(text, text, uuid, int, timestamptz, text[], text[], text[]) is
  'Makes dead letters of these rows; only within the batch that tried them.';

create or replace function retention.retry_letter(who text, why text, kind text, letter text, at timestamptz)
returns setof retention.audit_entry
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  more jsonb;
begin
  if kind = 'row' then
    update retention.dead_letter set state = 'open', next_attempt_at = at where id = letter::uuid and state in ('open', 'discarded')
      returning jsonb_build_object('table', table_name, 'attempts', attempts) into more;
  elsif kind = 'file' then
    update retention.outbox set state = 'pending', attempts = 0, next_attempt_at = at, resolution = null
      where id = letter::bigint and state = 'dead' returning jsonb_build_object('table', table_name) into more;
  end if;
  if more is null then
    return;
  end if;
  return query select * from retention.record_operator(who, kind || '.retried', letter, why, more);
end $$;
comment on function retention.retry_letter(text, text, text, text, timestamptz) is 'Makes a dead letter due now.';

-- The oldest first. One entry of the chain, with how many: what a store that was away for two days leaves behind.
create or replace function retention.retry_letters(who text, why text, kind text, p text, most int, at timestamptz)
returns setof retention.audit_entry
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  n bigint := 0;
begin
  if kind = 'row' then
    update retention.dead_letter set next_attempt_at = at where id in (
      select id from retention.dead_letter where state = 'open' and policy = p and next_attempt_at > at
      order by created_at limit most for update skip locked);
    get diagnostics n = row_count;
  elsif kind = 'file' then
    -- Not those whose name is at fault: asked again, the answer would be the same.
    update retention.outbox set state = 'pending', attempts = 0, next_attempt_at = at, resolution = null where id in (
      select id from retention.outbox where state = 'dead' and policy = p and coalesce(error_class, '') not like 'name.%'
      order by updated_at limit most for update skip locked);
    get diagnostics n = row_count;
  end if;
  if n = 0 then
    return;
  end if;
  return query select * from retention.record_operator(who, kind || 's.retried', p, why, jsonb_build_object('letters', n));
end $$;
comment on function retention.retry_letters(text, text, text, text, int, timestamptz) is 'Makes the dead letters of a policy due now, up to so many.';

create or replace function retention.discard_letter(who text, why text, kind text, letter text) returns setof retention.audit_entry
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  more jsonb;
begin
  if kind = 'row' then
    update retention.dead_letter set state = 'discarded', resolution = why where id = letter::uuid and state = 'open'
      returning jsonb_build_object('table', table_name, 'sql_state', sql_state) into more;
  elsif kind = 'file' then
    update retention.outbox set state = 'kept', resolution = why where id = letter::bigint and state = 'dead'
      returning jsonb_build_object('table', table_name, 'error_class', error_class) into more;
  end if;
  if more is null then
    return;
  end if;
  return query select * from retention.record_operator(who, kind || '.discarded', letter, why, more);
end $$;
comment on function retention.discard_letter(text, text, text, text) is 'Leaves the row or file where it is, for good.';

create or replace function retention.assign_letter(who text, why text, kind text, letter text, whom text)
returns setof retention.audit_entry
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  more jsonb;
begin
  if kind = 'row' then
    update retention.dead_letter set assigned_to = whom where id = letter::uuid and state = 'open'
      returning jsonb_build_object('table', table_name, 'to', assigned_to) into more;
  elsif kind = 'file' then
    update retention.outbox set assigned_to = whom where id = letter::bigint and state = 'dead'
      returning jsonb_build_object('table', table_name, 'to', assigned_to) into more;
  end if;
  if more is null then
    return;
  end if;
  return query select * from retention.record_operator(who, kind || '.assigned', letter, why, more);
end $$;
comment on function retention.assign_letter(text, text, text, text, text) is 'Says who looks after a dead letter.';
