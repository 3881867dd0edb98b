-- Archives: begun before anything is written into the store, so that nothing lies there that no row knows; named by the
-- receipt of the batch that deletes what they hold; discarded or expired through the outbox.

create or replace function retention.open_archive(a uuid, r uuid, s int, of_table text, at_prefix text) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  -- A folder of its own: what lies in it is queued for deletion when no receipt names it, and is kept by the holds of this archive.
  if at_prefix ~ ('^archives/[^/]+/[^/]+/' || a || '/$') is not true then
    raise exception 'lapse: an archive lies in the folder of its own id, not in %', at_prefix using errcode = '22023';
  end if;
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
    paths = array(select jsonb_array_elements_text(facts -> 'paths')), part_of = facts ->> 'part_of',
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
    if new.reason <> 'erasure' and new.deleted + new.dependants_deleted > 0 and exists (
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

-- A hold on an organization, a user or a row keeps the archives that hold something of it.
create or replace function retention.holds_archive(kind text, whom text, relation text, a uuid) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select case when kind = 'item' then exists (
      select 1 from retention.archive x where x.id = a and x.table_name = relation and (whom = any(x.keys) or whom = x.part_of))
      or exists (select 1 from retention.archive x join retention.receipt c on c.run = x.run and c.seq = x.seq
        where x.id = a and c.dependants -> relation ? whom)
    else exists (select 1 from retention.archive_subject s where s.archive = a and s.scope = kind and s.subject = whom) end
$$;
comment on function retention.holds_archive(text, text, text, uuid) is 'Whether a hold on this subject keeps this archive.';

create or replace function retention.is_held_archive(a uuid) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select exists (select 1 from retention.hold h where h.released_at is null and retention.holds_archive(h.scope, h.subject, h.table_name, a))
$$;
comment on function retention.is_held_archive(uuid) is 'Whether a legal hold keeps an archive: it is neither expired nor written anew.';

-- Files of an archive go as those of rows do: through the outbox, which asks again whether a hold keeps them.
create or replace function retention.queue_archive(a uuid, below text, files text[]) returns bigint
language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
  with entry as (
    insert into retention.outbox (policy, table_name, row_key, url, bytes, prefix)
      select 'own-records', '(archive)', a::text, f, null, below from unnest(files) f where starts_with(f, below) returning 1)
  select count(*) from entry
$$;
comment on function retention.queue_archive(uuid, text, text[]) is 'Queues files of an archive for deletion.';

-- The archives whose period is over, at most so many. Null: everything is stopped.
create or replace function retention.expire_archives(most int) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  n bigint;
  size numeric;
  digest text;
begin
  -- Under the same lock as a batch: a hold that is being placed waits for this, or this sees it.
  perform pg_advisory_xact_lock_shared(7001, 0);
  if (select stopped from retention.kill_switch) is distinct from false then
    return null;
  end if;
  with due as (
    select a.id from retention.archive a join retention.policy_state s on s.policy = a.policy
    where a.state = 'kept' and a.expires_at <= retention.clock() and not s.paused and not retention.is_held_archive(a.id)
    order by a.expires_at, a.id limit most for update of a skip locked
  ),
  over as (update retention.archive a set state = 'expired' from due where a.id = due.id returning a.*),
  queued as (select o.id, o.bytes, retention.queue_archive(o.id, o.prefix, o.paths) as files from over o)
  select count(*), coalesce(sum(bytes), 0), encode(sha256(convert_to(string_agg(id::text, '' order by id), 'UTF8')), 'hex')
    into n, size, digest from queued where files >= 0;
  if n > 0 then
    perform retention.record('own-records', 'archives.expired', to_char(retention.clock() at time zone 'UTC', 'YYYY-MM-DD'),
      'their period is over', jsonb_build_object('archives', n, 'bytes', size, 'digest', digest));
  end if;
  return n;
end $$;
comment on function retention.expire_archives(int) is
  'Expires archives whose period is over and that nothing holds, with an entry of the chain: how many, and a hash over their ids in order.';

-- Begun, and no receipt names them: their run is over, so none ever will. An hour, so that nothing is still being written.
create or replace function retention.abandoned_archives(most int) returns table (id uuid, prefix text)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select a.id, a.prefix from retention.archive a
  where a.state = 'open' and a.created_at < retention.clock() - interval '1 hour'
    and not exists (select 1 from retention.policy_state s where s.run_now = a.run)
  order by a.created_at limit most
$$;
comment on function retention.abandoned_archives(int) is 'Archives of batches that never deleted.';

create or replace function retention.discard_archive(a uuid, written text[]) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  it record;
begin
  update retention.archive x set state = 'discarded', paths = written
    where x.id = a and x.state = 'open' and not exists (select 1 from retention.policy_state s where s.run_now = x.run)
    returning x.prefix into it;
  if not found then
    return false;
  end if;
  delete from retention.archive_subject where archive = a;
  perform retention.queue_archive(a, it.prefix, written);
  return true;
end $$;
comment on function retention.discard_archive(uuid, text[]) is 'Queues what was written of an archive that no receipt names.';

-- Within an erasure under way: what archives hold of the subject is dead from here on, and the archive does not name it any
-- more. Holds win: under a hold on the subject itself nothing is changed, and `held` says so.
create or replace function retention.entomb(e uuid, out archives bigint, out dead bigint, out held bigint)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  it record;
begin
  perform pg_advisory_xact_lock_shared(7001, 0);
  select x.scope, x.subject into it from retention.erasure x where x.id = e and x.state = 'open';
  archives := 0;
  dead := 0;
  held := 0;
  if not found or (select stopped from retention.kill_switch) is distinct from false then
    return;
  end if;
  if exists (select 1 from retention.hold h where h.released_at is null and h.scope = it.scope and h.subject = it.subject) then
    select coalesce(sum(s.rows), 0) into held from retention.archive_subject s
      where s.scope = it.scope and s.subject = it.subject and s.erased_at is null;
    return;
  end if;
  -- The archive first: whoever restores from it holds it until the restored rows are there.
  perform 1 from retention.archive a where a.id in (select s.archive from retention.archive_subject s
    where s.scope = it.scope and s.subject = it.subject and s.erased_at is null) order by a.id for update;
  with gone as (
    update retention.archive_subject s set erased_at = retention.clock(),
      subject = encode(sha256(convert_to(it.scope || ':' || it.subject, 'UTF8')), 'hex')
    where s.scope = it.scope and s.subject = it.subject and s.erased_at is null returning s.archive, s.rows
  ),
  counted as (update retention.archive a set dead_rows = a.dead_rows + g.rows from gone g where a.id = g.archive returning g.rows)
  select count(*), coalesce(sum(c.rows), 0) into archives, dead from counted c;
end $$;
comment on function retention.entomb(uuid) is 'Turns what archives hold of the subject of an erasure into tombstones, which restores honor.';

-- Archives with dead rows that nothing holds, those that have waited longest first.
create or replace function retention.archives_with_dead(most int)
returns table (id uuid, policy text, prefix text, sha256 text, generation int, share double precision, waiting_days double precision, erased text[])
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select a.id, a.policy, a.prefix, a.manifest_sha256, a.generation, a.dead_rows::float8 / greatest(a.rows + a.dependants, 1),
    extract(epoch from retention.clock() - t.since)::float8 / 86400, t.subjects
  from retention.archive a cross join lateral (
    select min(s.erased_at) as since, array_agg(s.subject) as subjects from retention.archive_subject s
    where s.archive = a.id and s.erased_at is not null
  ) t
  where a.state = 'kept' and a.dead_rows > 0 and not retention.is_held_archive(a.id)
  order by t.since limit most
$$;
comment on function retention.archives_with_dead(int) is 'Archives that hold erased rows, with the share of them and how long they wait.';

-- What stands in `facts` was validated by reading it back. The old files go through the outbox.
create or replace function retention.replace_archive(a uuid, old_sha256 text, facts jsonb) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  it record;
begin
  perform pg_advisory_xact_lock_shared(7001, 0);
  select x.* into it from retention.archive x where x.id = a and x.state = 'kept' and x.manifest_sha256 = old_sha256 for update;
  if not found or retention.is_held_archive(a) then
    return false;
  end if;
  if facts ->> 'prefix' is distinct from regexp_replace(it.prefix, 'g\d+/$', '') || 'g' || it.generation + 1 || '/' then
    raise exception 'lapse: an archive that is written anew lies below its own folder' using errcode = '22023';
  end if;
  update retention.archive_subject s set rows = 0
    where s.archive = a and s.erased_at is not null and facts -> 'honored' ? s.subject;
  update retention.archive x set prefix = facts ->> 'prefix', manifest_sha256 = facts ->> 'sha256', generation = x.generation + 1,
    rows = (facts ->> 'rows')::bigint, dependants = (facts ->> 'dependants')::bigint, files = (facts ->> 'files')::bigint,
    bytes = (facts ->> 'bytes')::bigint, paths = array(select jsonb_array_elements_text(facts -> 'paths')),
    dead_rows = (select coalesce(sum(s.rows), 0) from retention.archive_subject s where s.archive = a and s.erased_at is not null)
    where x.id = a;
  perform retention.queue_archive(a, it.prefix, it.paths);
  perform retention.record('own-records', 'archive.rewritten', a::text, 'without rows that were erased',
    jsonb_build_object('policy', it.policy, 'rows', it.rows - (facts ->> 'rows')::bigint, 'dependants', it.dependants - (facts ->> 'dependants')::bigint,
      'sha256', facts ->> 'sha256', 'was', old_sha256));
  return true;
end $$;
comment on function retention.replace_archive(uuid, text, jsonb) is 'An archive was written anew without erased rows; the files of before are queued for deletion.';
