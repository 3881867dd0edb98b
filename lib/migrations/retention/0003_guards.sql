-- Guard rails: poisoned rows, versions of policies and their cooling-off, labels and overrides that were in
-- force, approvals, the rollout's steps, and the audit chain. What decides about a row is read under the same
-- advisory locks as before; what is remembered here can only keep a row longer.

-- Up Migration

alter table retention.dead_letter add column run uuid;
comment on column retention.dead_letter.run is 'The run that last tried it.';
create index dead_letter_policy on retention.dead_letter (policy, state, next_attempt_at);
-- Also discarded letters are looked up by row, for as long as the row is there.
create index dead_letter_row on retention.dead_letter (table_name, row_key) where state <> 'resolved';

-- Tries each row in a block of its own and undoes it: says who refuses, deletes nothing (DELETION §6).
create function retention.try_each(places tid[], attempt text, as_of timestamptz)
returns table (place tid, sql_state text, constraint_name text)
language plpgsql volatile security invoker set search_path = pg_catalog, pg_temp as $$
begin
  foreach place in array places loop
    begin
      execute attempt using place, as_of;
      raise exception 'lapse: undone' using errcode = 'LP100';
    exception
      when sqlstate 'LP100' then null;
      when others then
        get stacked diagnostics sql_state = returned_sqlstate, constraint_name = constraint_name;
        -- A lock or a shortage is nobody's fault: the whole request may be asked again.
        if sql_state ~ '^(40|53|55P|57|58|08|XX|LP)' then raise; end if;
        constraint_name := nullif(constraint_name, '');
        return next;
    end;
  end loop;
end $$;
comment on function retention.try_each(tid[], text, timestamptz) is
  'Which of these rows refuse an attempt, and why; each attempt is undone, nothing is changed.';

create function retention.resolve_letters() returns trigger
language plpgsql security invoker set search_path = pg_catalog, pg_temp as $$
begin
  if exists (select 1 from retention.dead_letter where table_name = new.table_name and state = 'open') then
    update retention.dead_letter set state = 'resolved', resolution = 'gone with run ' || new.run
      where table_name = new.table_name and state = 'open' and row_key = any(new.keys);
  end if;
  return null;
end $$;
comment on function retention.resolve_letters() is 'A dead letter is resolved by the receipt that names its row.';
create trigger lapse_letters after insert on retention.receipt
  for each row execute function retention.resolve_letters();

revoke execute on all functions in schema retention from public;
grant execute on all functions in schema retention to lapse_app;

-- Down Migration

drop trigger lapse_letters on retention.receipt;
drop function retention.resolve_letters();
drop function retention.try_each(tid[], text, timestamptz);
drop index retention.dead_letter_row;
drop index retention.dead_letter_policy;
alter table retention.dead_letter drop column run;
