-- What every deleting transaction calls: entering under the locks, comparing the counts, trying poisoned rows.

-- Statement 2 of every batch. Takes the locks in statements of their own, then reads: one statement sees one snapshot.
create or replace function retention.enter_batch(p text, f bigint, r uuid, s int, v text) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  st record;
  k int;
  before jsonb;
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'lapse: a batch needs READ COMMITTED' using errcode = 'LP005';
  end if;
  if current_setting('statement_timeout') = '0' or current_setting('lock_timeout') = '0' then
    raise exception 'lapse: a batch needs statement_timeout and lock_timeout' using errcode = 'LP006';
  end if;
  if current_setting('track_counts') <> 'on' then
    raise exception 'lapse: a batch needs track_counts, by which the database counts what it deletes' using errcode = 'LP014',
      hint = format('ALTER DATABASE %I SET track_counts = on;', current_database());
  end if;
  -- A transaction that has written nothing has deleted nothing: what goes in the very statement that calls this would be in
  -- the count before the batch, and in no receipt, while its guard fires only after it.
  if pg_current_xact_id_if_assigned() is not null then
    raise exception 'lapse: a batch is the first to write in its transaction' using errcode = 'LP012';
  end if;
  -- What is deferred to the commit fails where it can be named; only the look for unconfirmed deletions stays there.
  set constraints all immediate;
  set constraints retention.lapse_receipted deferred;
  perform pg_advisory_xact_lock_shared(7001, 0);
  select lock_id into k from retention.policy_state where policy = p;
  if k is null then
    raise exception 'lapse: unknown policy' using errcode = 'LP001';
  end if;
  perform pg_advisory_xact_lock_shared(7001, k);
  perform pg_advisory_xact_lock(hashtextextended(r::text || ':' || s, 7001));
  select fence, paused, run_now, version into st from retention.policy_state where policy = p;
  if st.fence is distinct from f or st.run_now is distinct from r or st.version is distinct from v then
    raise exception 'lapse: this run may not delete any more' using errcode = 'LP002';
  end if;
  if st.paused or (select stopped from retention.kill_switch) is distinct from false then
    raise exception 'lapse: paused' using errcode = 'LP003';
  end if;
  if exists (select 1 from retention.receipt where run = r and seq = s) then
    raise exception 'lapse: this batch has committed' using errcode = 'LP004';
  end if;
  perform set_config('lapse.batch', r::text || ':' || s, true);
  if current_setting('transaction_read_only') = 'off' then
    before := retention.movements();
    perform set_config('lapse.movements', before::text, true);
    perform set_config('lapse.proof', retention.proof_of(r, s, before), true);
  end if;
end $$;
comment on function retention.enter_batch(text, bigint, uuid, int, text) is
  'Takes the shared locks (all, policy) and the batch''s own, then checks fence, run, version, pause and that no receipt exists; notes what the session has deleted and inserted so far.';

-- Statement 4: a new statement, so it sees what the delete did. `still_there` counts the receipt's keys that are left; null
-- when nobody looked for them. Then the database's own count stands for it: so many rows left, and none came into a table
-- that lost some, so no row was put back.
create or replace function retention.confirm_batch(r uuid, s int, still_there bigint) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  rc record;
  before jsonb := retention.entered(r, s);
  lost jsonb;
  came jsonb;
  gone bigint;
  named bigint;
begin
  if before is null then
    raise exception 'lapse: this transaction has not entered batch % of run %', s, r using errcode = 'LP012';
  end if;
  select action, locked, deleted, dependants_deleted, coalesce(octet_length(key_bytes) / 16, cardinality(keys)) as named,
      case when dependants = '{}' then 0 else (select coalesce(sum(jsonb_array_length(value)), 0) from jsonb_each(dependants)) end as named_along
    into rc
    from retention.receipt where run = r and seq = s;
  if found and (rc.locked <> rc.deleted or rc.named <> rc.deleted or coalesce(still_there, 0) <> 0) then
    raise exception 'lapse: counts differ: locked %, deleted %, named %, left %',
      rc.locked, rc.deleted, rc.named, still_there using errcode = 'LP007';
  end if;
  -- Of rows that stay, changed, only what went along has left a table.
  named := coalesce(case when rc.action = 'delete' then rc.named else 0 end + rc.named_along, 0);
  select retention.since(before -> 'deleted', m -> 'deleted'), retention.since(before -> 'inserted', m -> 'inserted')
    into lost, came from retention.movements() m;
  select coalesce(sum(value::bigint), 0) into gone from jsonb_each_text(lost);
  if gone <> named then
    raise exception 'lapse: % rows left, the receipt names %: %', gone, named, retention.tables_in(lost, 'lost')
      using errcode = 'LP013', hint = 'A cascade, trigger or rule deletes rows that the policy does not declare. Nothing was deleted.';
  end if;
  if still_there is null and exists (select 1 from jsonb_object_keys(came) k where lost ? k) then
    raise exception 'lapse: rows came into a table that lost some: %', retention.tables_in(came, 'got')
      using errcode = 'LP013', hint = 'A trigger or rule puts rows back, which the policy does not declare. Nothing was deleted.';
  end if;
  delete from retention.unconfirmed_deletion
    where id = any(string_to_array(nullif(current_setting('lapse.unconfirmed', true), ''), ',')::bigint[]);
end $$;
comment on function retention.confirm_batch(uuid, int, bigint) is
  'Rolls the batch back unless rows locked, deleted, named in the receipt and gone are the same number, and the database counts no other deletion and no row put back.';

create or replace function retention.since(before jsonb, after jsonb) returns jsonb
language plpgsql immutable security invoker set search_path = pg_catalog, pg_temp as $$
begin
  return (select coalesce(jsonb_object_agg(x.key, x.n), '{}') from (
    select e.key, e.value::bigint - coalesce((before ->> e.key)::bigint, 0) as n from jsonb_each_text(after) e
  ) x where x.n <> 0);
end $$;
comment on function retention.since(jsonb, jsonb) is 'What a count by table grew by between two looks.';

create or replace function retention.tables_in(rows_of jsonb, what text) returns text
language sql stable security invoker set search_path = pg_catalog, pg_temp as $$
  select coalesce(string_agg(n.nspname || '.' || c.relname || ' ' || what || ' ' || e.value, ', ' order by e.value::bigint desc, 1), 'no table ' || what || ' any')
  from jsonb_each_text(rows_of) e join pg_class c on c.oid = e.key::oid join pg_namespace n on n.oid = c.relnamespace
$$;
comment on function retention.tables_in(jsonb, text) is 'Each table of a count, with how many rows it lost or got.';

-- Tries each row in a block of its own and undoes it: says who refuses, deletes nothing (DELETION §6). Without a
-- search_path of its own: the table's triggers must find what they find in the batch. `before`, where there is any, comes in
-- front of it. `attempt` answers with the row's key, `still` whether that key, or what should have gone with it, is there
-- after all: a trigger may keep a row in silence.
create or replace function retention.try_each(places tid[], before text, attempt text, still text)
returns table (place tid, sql_state text, constraint_name text)
language plpgsql volatile security invoker as $$
declare
  gone text;
  kept boolean;
begin
  foreach place in array places loop
    begin
      if before is not null then
        execute before using place;
      end if;
      execute attempt into gone using place;
      kept := gone is null;
      if not kept then
        execute still into kept using gone;
      end if;
      raise exception 'lapse: undone' using errcode = 'LP100';
    exception
      when sqlstate 'LP100' then
        if kept then
          sql_state := 'LP007';
          constraint_name := null;
          return next;
        end if;
      when others then
        get stacked diagnostics sql_state = returned_sqlstate, constraint_name = constraint_name;
        -- A lock or a shortage is no row's fault: the whole request may be sent again.
        if sql_state ~ '^(40|53|55P|57|58|08|XX|LP(?!007))' then raise; end if;
        constraint_name := nullif(constraint_name, '');
        return next;
    end;
  end loop;
end $$;
comment on function retention.try_each(tid[], text, text, text) is
  'Which of these rows refuse an attempt, or stay in spite of it (LP007), and why; each attempt is undone, nothing is changed.';

create or replace function retention.resolve_letters() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if exists (select 1 from retention.dead_letter where table_name = new.table_name and state = 'open') then
    update retention.dead_letter set state = 'resolved', resolution = 'gone with run ' || new.run
      where table_name = new.table_name and state = 'open' and row_key in (select unnest(retention.keys_of(new)));
  end if;
  return null;
end $$;
comment on function retention.resolve_letters() is 'A dead letter is resolved by the receipt that names its row.';
