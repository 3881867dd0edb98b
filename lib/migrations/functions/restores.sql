-- Restores from archives. Only a person restores, by their own token: the rows are written by the operators' login, with the
-- rights its tables grant it, and each restored row gets its extension and its entry of the chain in the same transaction.

create or replace function retention.request_restore(
  who text, why text, kind text, whom text, p text, reached bigint, keep_days int
) returns jsonb language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  -- As with an erasure: what one person loses by a mistake is a few hundred rows.
  most_alone constant bigint := 500;
  needs_second boolean := kind = 'organization' or reached > most_alone;
  e uuid;
  wrote bigint;
begin
  insert into retention.restore (scope, subject, policy, reason, state, rows_found, keep_until, requested_by, requested_at)
    values (kind, whom, p, why, case when needs_second then 'requested' else 'confirmed' end, reached,
      retention.clock() + make_interval(days => keep_days), who, retention.clock())
    on conflict (scope, subject, coalesce(policy, '')) where state in ('requested', 'confirmed', 'open') do nothing
    returning id into e;
  if e is null then
    select x.id into e from retention.restore x where x.scope = kind and x.subject = whom and x.policy is not distinct from p
      and x.state in ('requested', 'confirmed', 'open');
    perform retention.prove_operator(who);
  else
    select n into wrote from retention.record_operator(who, 'restore.requested', e::text, why,
      jsonb_build_object('scope', kind, 'policy', p, 'rows', reached, 'needs_second', needs_second));
  end if;
  return (select to_jsonb(x) || jsonb_build_object('entry', wrote) from retention.restore x where x.id = e);
end $$;
comment on function retention.request_restore(text, text, text, text, text, bigint, int) is
  'Remembers a restore; an organization, or more than 500 rows, waits for a second operator.';

create or replace function retention.confirm_restore(who text, why text, e uuid)
returns jsonb language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  it record;
begin
  select state, requested_by into it from retention.restore where id = e for update;
  if not found then return jsonb_build_object('refused', 'unknown'); end if;
  if it.state <> 'requested' then return jsonb_build_object('refused', it.state); end if;
  if it.requested_by = who then return jsonb_build_object('refused', 'own'); end if;
  update retention.restore set state = 'confirmed', confirmed_by = who, confirmed_at = retention.clock() where id = e;
  perform retention.record_operator(who, 'restore.confirmed', e::text, why, jsonb_build_object('requested_by', it.requested_by));
  return (select to_jsonb(x) from retention.restore x where x.id = e);
end $$;
comment on function retention.confirm_restore(text, text, uuid) is
  'A second operator lets a restore begin; `refused` says why not: unknown, own, or the state it is in.';

create or replace function retention.withdraw_restore(who text, why text, e uuid)
returns jsonb language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  it record;
begin
  select state into it from retention.restore where id = e for update;
  if not found then return jsonb_build_object('refused', 'unknown'); end if;
  if it.state in ('done', 'withdrawn') then return jsonb_build_object('refused', it.state); end if;
  update retention.restore set state = 'withdrawn' where id = e;
  perform retention.record_operator(who, 'restore.withdrawn', e::text, why, jsonb_build_object('was', it.state));
  return (select to_jsonb(x) from retention.restore x where x.id = e);
end $$;
comment on function retention.withdraw_restore(text, text, uuid) is 'Takes a restore back; what was brought back by then stays.';

-- In the transaction that writes rows of an archive: may it? Returns what their extensions say.
create or replace function retention.enter_restore(
  who text, e uuid, a uuid, known int, out policy text, out relation text, out archived_at timestamptz, out until timestamptz, out why text
) language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  begun boolean;
begin
  perform retention.prove_operator(who);
  update retention.restore x set state = 'open' where x.id = e and x.state in ('confirmed', 'open')
    returning x.keep_until, x.reason into until, why;
  if not found then
    raise exception 'lapse: restore % is not confirmed, or over', e using errcode = 'LP023';
  end if;
  -- An archive that expires or is written anew waits, or this sees that it has.
  select x.policy, x.table_name, x.created_at into policy, relation, archived_at
    from retention.archive x where x.id = a and x.state = 'kept' for share;
  if not found then
    raise exception 'lapse: archive % is not kept any more', a using errcode = 'LP023';
  end if;
  if known is distinct from (select count(*)::int from retention.archive_subject s where s.archive = a and s.erased_at is not null) then
    raise exception 'lapse: rows of archive % were erased just now', a using errcode = 'LP023';
  end if;
end $$;
comment on function retention.enter_restore(text, uuid, uuid, int) is 'Whether rows of this archive may be restored now, by this operator, who has read so many tombstones.';

-- Brings rows back, each in a block of its own: one that is there already is compared and never written over, one that the
-- table refuses or would change is left, with all below it. `work`: `parts`, of each table `read` and `write`, statements of
-- ours whose names are quoted; `steps` in their order, each of the lines of rows that are written by one statement (`circle`, where
-- they refer to one another): table (n), what it is called (i), key (k), the rows it hangs on (p), values to write (w) and to compare
-- (c); `bad`: rows above them that are not back. What refers to a row that is still to come is tried again. Without a search_path of
-- its own: the table's triggers must find what they find otherwise. `pretend`: looks only.
create or replace function retention.restore_rows(who text, e uuid, a uuid, known int, work jsonb, pretend boolean)
returns table (nth int, key text, outcome text, sql_state text)
language plpgsql volatile security invoker as $$
declare
  it record;
  step jsonb;
  line jsonb;
  there jsonb;
  missing jsonb;
  told jsonb;
  same boolean;
  others text;
  todo jsonb := work -> 'steps';
  again jsonb;
  bad text[] := array(select jsonb_array_elements_text(work -> 'bad'));
  back text[] := '{}';
  progress boolean;
  last boolean := false;
begin
  if not pretend then
    select * into it from retention.enter_restore(who, e, a, known);
    set constraints all immediate;
  end if;
  loop
    again := '[]';
    progress := false;
    for step in select value from jsonb_array_elements(todo) loop
      told := '{}';
      missing := '[]';
      sql_state := null;
      begin
        if exists (select from jsonb_array_elements(step) l(line) cross join jsonb_array_elements_text(l.line -> 'p') p(above) where p.above = any(bad)) then
          outcome := 'parent';
        else
          for line in select value from jsonb_array_elements(step) loop
            execute work -> 'parts' -> (line ->> 'n')::int ->> 'read' into there using line ->> 'k';
            if there is null then
              missing := missing || jsonb_build_array(line);
            else
              told := told || jsonb_build_object(line ->> 'i', case when there = line -> 'c' then 'there' else 'conflict' end);
            end if;
          end loop;
          if missing <> '[]' then
            outcome := 'restored';
            if exists (select from jsonb_each_text(told) t where t.value = 'conflict') then
              outcome := 'parent';
            elsif not pretend then
              if jsonb_array_length(missing) = 1 then
                line := missing -> 0;
                execute work -> 'parts' -> (line ->> 'n')::int ->> 'write' into there using line -> 'w';
                same := there is not distinct from line -> 'c';
              else
                execute work ->> 'circle' into same using missing;
              end if;
              if same is not true then
                raise exception 'lapse: undone' using errcode = 'LP101';
              end if;
            end if;
          end if;
        end if;
      exception
        when sqlstate 'LP101' then
          outcome := 'altered';
        when others then
          get stacked diagnostics sql_state = returned_sqlstate;
          if sql_state ~ '^(40|42|53|55P|57|58|08|XX)' then raise; end if;
          if sql_state = '23503' and not last then
            again := again || jsonb_build_array(step);
            continue;
          end if;
          outcome := case when sql_state in ('23505', '23P01') then 'conflict' else 'refused' end;
      end;
      -- What was found there says so; all others of the step come to the same.
      others := outcome;
      for line in select value from jsonb_array_elements(step) loop
        nth := (line ->> 'n')::int;
        key := line ->> 'k';
        outcome := coalesce(told ->> (line ->> 'i'), others);
        if outcome in ('restored', 'there') then
          progress := true;
          if nth = 0 and outcome = 'restored' then back := back || key; end if;
        else
          bad := bad || (line ->> 'i');
        end if;
        return next;
      end loop;
    end loop;
    exit when again = '[]';
    last := not progress;
    todo := again;
  end loop;
  if not pretend then
    -- An extension waits for the batches under way, and the chain's lock comes last.
    foreach key in array back loop
      perform retention.note_restoration(who, it.why, it.policy, it.relation, key, it.archived_at, it.until);
    end loop;
  end if;
end $$;
comment on function retention.restore_rows(text, uuid, uuid, int, jsonb, boolean) is
  'Writes archived rows back: restored, there (as archived), conflict (another is there), altered or refused (by the table), parent (the row it goes with is not back).';

create or replace function retention.note_restored(who text, e uuid, a uuid, came_to jsonb) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform retention.prove_operator(who);
  insert into retention.restore_part (restore, archive, counts)
    select x.id, a, came_to from retention.restore x where x.id = e and x.state in ('confirmed', 'open')
    on conflict do nothing;
end $$;
comment on function retention.note_restored(text, uuid, uuid, jsonb) is 'Notes that a restore is through with an archive; asked again, nothing changes.';

create or replace function retention.finish_restore(who text, e uuid) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  it record;
begin
  update retention.restore set state = 'done', finished_at = retention.clock() where id = e and state in ('confirmed', 'open')
    returning * into it;
  if not found then
    return false;
  end if;
  perform retention.record_operator(who, 'restore.done', e::text, it.reason, jsonb_build_object('scope', it.scope, 'policy', it.policy,
    'archives', (select count(*) from retention.restore_part x where x.restore = e),
    'counts', (select coalesce(jsonb_object_agg(y.key, y.n), '{}') from (
      select c.key, sum(c.value::bigint) as n from retention.restore_part x cross join jsonb_each_text(x.counts) c where x.restore = e group by 1) y)));
  return true;
end $$;
comment on function retention.finish_restore(text, uuid) is 'Ends a restore, with what it came to in the entry of the chain.';
