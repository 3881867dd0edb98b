-- Dead letters, resolved by an operator: rows that could not be deleted, and files the store would not delete.
-- Each function changes and writes its entry of the chain. Returns the entry, or nothing when there is no such letter.

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
