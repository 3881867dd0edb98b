-- Archives: begun before anything is written into the store, so that nothing lies there that no row knows; named by the
-- receipt of the batch that deletes what they hold; discarded or expired through the outbox.

create or replace function retention.open_archive(a uuid, r uuid, s int, of_table text, at_prefix text) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into retention.archive (id, policy, policy_version, run, seq, table_name, prefix)
    select a, x.policy, x.policy_version, r, s, of_table, at_prefix
    from retention.run x join retention.policy_state p on p.policy = x.policy and p.run_now = x.id
    where x.id = r and x.mode = 'delete' and x.finished_at is null
    -- A request whose answer was lost is asked again.
    on conflict (id) do nothing;
  if not found and not exists (select 1 from retention.archive where id = a and run = r and seq = s and state = 'open') then
    raise exception 'lapse: run % may not delete any more', r using errcode = 'LP002';
  end if;
end $$;
comment on function retention.open_archive(uuid, uuid, int, text, text) is 'Remembers an archive before the first of its files is written.';

-- In the batch, before anything is deleted: what was validated by reading it back. The receipt names it.
create or replace function retention.name_archive(a uuid, r uuid, s int, facts jsonb) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  if retention.entered(r, s) is null then
    raise exception 'lapse: this transaction has not entered batch % of run %', s, r using errcode = 'LP012';
  end if;
  update retention.archive set manifest_sha256 = facts ->> 'sha256', rows = (facts ->> 'rows')::bigint,
    dependants = (facts ->> 'dependants')::bigint, files = (facts ->> 'files')::bigint, bytes = (facts ->> 'bytes')::bigint,
    paths = array(select jsonb_array_elements_text(facts -> 'paths')),
    expires_at = retention.clock() + make_interval(secs => (facts ->> 'keep_seconds')::float8)
    where id = a and run = r and seq = s and state = 'open';
  if not found then
    raise exception 'lapse: archive % is not open for batch % of run %', a, s, r using errcode = 'LP021';
  end if;
  insert into retention.archive_subject (archive, scope, subject, rows)
    select a, x.scope, x.subject, x.rows from jsonb_to_recordset(facts -> 'subjects') x(scope text, subject text, rows bigint)
    on conflict do nothing;
  perform set_config('lapse.archive', a::text, true);
end $$;
comment on function retention.name_archive(uuid, uuid, int, jsonb) is 'Notes what was archived for this batch; the receipt it writes names the archive.';

-- Of a policy that archives, no receipt without an archive: nothing that would be written into it is deleted unarchived.
create or replace function retention.keep_archive() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  if new.archive is null then
    if new.reason <> 'erasure' and new.deleted > 0 and exists (
      select 1 from retention.policy_version v where v.policy = new.policy and v.version = new.policy_version
        and v.declaration #>> '{policy,strategy,kind}' = 'archive') then
      raise exception 'lapse: policy % archives before it deletes, and batch % names no archive', new.policy, new.seq using errcode = 'LP021';
    end if;
    return null;
  end if;
  update retention.archive set state = 'kept', keys = retention.keys_of(new)
    where id = new.archive and run = new.run and seq = new.seq and state = 'open' and rows >= new.deleted and dependants >= new.dependants_deleted;
  if not found then
    raise exception 'lapse: archive % does not hold what batch % deletes', new.archive, new.seq using errcode = 'LP021';
  end if;
  return null;
end $$;
comment on function retention.keep_archive() is 'An archive is kept from the receipt on that names it; of a policy that archives there is no other receipt.';
create or replace trigger lapse_archive after insert on retention.receipt for each row execute function retention.keep_archive();

-- A dependant that was changed, added or removed after it was read: the batch is sent again, and leaves its row.
create or replace function retention.refuse_unlike(n bigint) returns bigint
language plpgsql volatile security invoker set search_path = pg_catalog, pg_temp as $$
begin
  if n <> 0 then
    raise exception 'lapse: % rows that would go along are not those that were archived', n using errcode = 'LP022';
  end if;
  return n;
end $$;
comment on function retention.refuse_unlike(bigint) is 'Rolls the batch back unless all that goes along is what was archived.';
