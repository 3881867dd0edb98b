-- Claims of outbox entries, what keeps a file whose row has gone, and the guard of tables that use paths again.

-- First half of a claim: takes (7002, path) for up to n paths that are due, and leaves them in `lapse.files`.
-- The judgment follows in a statement of its own, which sees every row committed before the locks.
-- Under the same locks as a batch: stopping everything, pausing a policy or placing a hold waits for this
-- transaction, or this one sees what they did. Paths are tried, not waited for: two drains never deadlock, and a path
-- an application's transaction is about to use is busy.
create or replace function retention.lock_files(n int, at timestamptz) returns int
language plpgsql volatile security invoker set search_path = pg_catalog, pg_temp as $$
declare
  off text[];
  paths text[];
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'lapse: a claim needs READ COMMITTED' using errcode = 'LP005';
  end if;
  perform pg_advisory_xact_lock_shared(7001, 0);
  -- A policy that is being paused or taken over right now is left for the next claim.
  select coalesce(array_agg(policy), '{}') into off from retention.policy_state
    where not pg_try_advisory_xact_lock_shared(7001, lock_id);
  if (select stopped from retention.kill_switch) is distinct from false then
    return -1;
  end if;
  select off || coalesce(array_agg(policy), '{}') into off from retention.policy_state where paused;
  select coalesce(array_agg(d.path), '{}') into paths from (
    select distinct due.path from (
      select path from retention.outbox
      where state in ('pending', 'deleting') and next_attempt_at <= at and policy <> all(off)
      order by next_attempt_at, id limit n for update skip locked
    ) due
  ) d where pg_try_advisory_xact_lock(hashtextextended(d.path, 7002));
  perform set_config('lapse.files', paths::text, true), set_config('lapse.files_off', off::text, true);
  return cardinality(paths);
end $$;
comment on function retention.lock_files(int, timestamptz) is
  'Locks the paths of up to n due outbox entries for this transaction; the next statement may judge them. -1: everything is stopped.';

-- Everything by which a file may be held: the row that named the file and the row it went with, their organizations and users, for
-- every entry of the path. Of an orphan no row is known: a folder of its path that is called like a held organization
-- or user.
create or replace function retention.is_held_file(path text) returns boolean
language sql stable security invoker set search_path = pg_catalog, pg_temp as $$
  select exists (
    select 1 from retention.outbox o join retention.hold h on h.released_at is null and (
      (h.scope = 'organization' and h.subject = any(o.organizations))
      or (h.scope = 'user' and h.subject = any(o.users))
      or (h.scope = 'item' and ((h.table_name = o.table_name and h.subject = o.row_key)
        or (h.table_name = o.owner_table and h.subject = o.owner_key)))
      or (h.scope in ('organization', 'user') and o.run is null and h.subject = any(string_to_array(o.path, '/')))
      or case when o.table_name = '(archive)' then retention.holds_archive(h.scope, h.subject, h.table_name, o.row_key::uuid) else false end)
    where o.path = is_held_file.path and o.state <> 'deleted')
$$;
comment on function retention.is_held_file(text) is 'Whether a legal hold keeps a file whose rows have gone.';

-- A hold, a stop or a pause is in force when it is answered: it waits for the drains that are asking the store right
-- now. Each works a few seconds on what it has claimed, and then releases the rest.
create or replace function retention.await_files() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  p text;
begin
  if tg_argv[0] = 'policy' then
    p := new.policy;
  end if;
  while exists (select 1 from retention.outbox where claimed_until > clock_timestamp() and policy = coalesce(p, policy)) loop
    perform pg_sleep(0.02);
  end loop;
  return null;
end $$;
comment on function retention.await_files() is 'Waits until no drain works on files it claimed before.';
create or replace trigger lapse_files after insert on retention.hold
  for each statement execute function retention.await_files();
create or replace trigger lapse_files after update on retention.kill_switch
  for each row when (new.stopped and not old.stopped) execute function retention.await_files();
create or replace trigger lapse_files after update on retention.policy_state
  for each row when (new.paused and not old.paused) execute function retention.await_files('policy');

-- Judged again by the next claim: another hold may keep them still.
create or replace function retention.free_files() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  update retention.outbox set state = 'pending', next_attempt_at = clock_timestamp() where state = 'held';
  return null;
end $$;
comment on function retention.free_files() is 'What a hold kept in the outbox is due again when one is released.';
create or replace trigger lapse_free_files after update of released_at or delete on retention.hold
  for each statement execute function retention.free_files();

-- Hands ripe orphans to the outbox, which asks once more, under locks, whether a row names them, and puts what was
-- handed over into the audit chain: no receipt ever names these files. With its owner's rights, because the app
-- writes no entry by itself. Null: everything is stopped, and nothing was queued.
create or replace function retention.queue_orphans(
  scan uuid, at timestamptz, grace_seconds double precision, apart_seconds double precision, most int, folders text[], actor text,
  out queued bigint, out bytes bigint
) language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  digest text;
begin
  perform pg_advisory_xact_lock_shared(7001, 0);
  if (select stopped from retention.kill_switch) is distinct from false then
    return;
  end if;
  with ripe as (
    select f.id, f.path, f.bytes, (select d from unnest(folders) d where starts_with(f.path, d) order by length(d) desc limit 1) as folder
    from retention.blob_finding f
    where f.kind = 'orphan' and f.state = 'open' and f.scans >= 2 and f.last_scan = scan
      and f.uploaded_at < at - make_interval(secs => grace_seconds)
      and f.last_seen_at - f.first_seen_at >= make_interval(secs => apart_seconds)
      and exists (select 1 from unnest(folders) d where retention.blob_refusal(f.path, d, '{}') is null)
    order by f.first_seen_at, f.id limit most for update
  ),
  taken as (update retention.blob_finding b set state = 'queued' from ripe r where b.id = r.id),
  entry as (
    insert into retention.outbox (policy, table_name, row_key, url, bytes, prefix)
    select 'blob-reconcile', '(store)', r.path, r.path, r.bytes, r.folder from ripe r returning outbox.bytes, outbox.path
  )
  select count(*), least(coalesce(sum(e.bytes), 0), 9007199254740991),
    encode(sha256(convert_to(string_agg(encode(sha256(convert_to(e.path, 'UTF8')), 'hex'), '' order by e.path collate "C"), 'UTF8')), 'hex')
    into queued, bytes, digest from entry e;
  if queued > 0 then
    insert into retention.audit_entry (actor, action, subject, reason, detail)
      values (queue_orphans.actor, 'orphans.queued', scan::text, 'no row names these files',
        jsonb_build_object('files', queued, 'bytes', bytes, 'digest', digest));
  end if;
end $$;
comment on function retention.queue_orphans(uuid, timestamptz, double precision, double precision, int, text[], text) is
  'Queues files that no row has named for long enough, with an entry of the audit chain: how many, and a hash over the hashes of their paths in order.';

-- Waits for a claim of the path that is under way, then says whether its file is being deleted, or was within the
-- last day: a row that names it after the deletion would name nothing, although the file was uploaded before.
create or replace function retention.is_being_deleted(path text) returns boolean
language plpgsql volatile security invoker set search_path = pg_catalog, pg_temp as $$
begin
  perform pg_advisory_xact_lock_shared(hashtextextended(is_being_deleted.path, 7002));
  return exists (
    select 1 from retention.outbox o where o.path = is_being_deleted.path
      and (o.state = 'deleting' or (o.state = 'held' and o.attempts > 0) or (o.state = 'deleted' and o.updated_at > clock_timestamp() - interval '1 day'))
  );
end $$;
comment on function retention.is_being_deleted(text) is 'Whether a file may not be named now, because it is being deleted or just was.';

-- For tables that write to the same paths again. With its owner's rights, because a role that writes these tables has
-- none in this schema. So it runs nothing of the table's: `format` writes a value with the output function of its
-- type, which only a superuser can define; a cast, which to_jsonb would call, anyone can. The right to make a
-- trigger with it is reserved to the owner.
create or replace function retention.guard_file_reference() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  named text;
  before text;
  col text;
begin
  foreach col in array tg_argv loop
    execute format('select format(''%%s'', ($1).%I)', col) into named using new;
    continue when named = '';
    if tg_op = 'UPDATE' then
      execute format('select format(''%%s'', ($1).%I)', col) into before using old;
      continue when named = before;
    end if;
    if retention.is_being_deleted(retention.blob_path(named)) then
      raise exception 'lapse: the file named by %.%.% is being deleted; upload it under another name',
        tg_table_schema, tg_table_name, col using errcode = 'LP008';
    end if;
  end loop;
  return new;
end $$;
comment on function retention.guard_file_reference() is
  'Row trigger BEFORE INSERT OR UPDATE, arguments: the columns that name files. Refuses a file that is being deleted.';

-- Entries of an older version of blob_path; none after the first time.
update retention.outbox set url = url where state in ('pending', 'deleting', 'held', 'dead') and path <> retention.blob_path(url);

-- A file is deleted because a row that named it went: the app writes entries only in the transaction that has entered
-- their batch, as many as its receipt counts. Orphans are queued by a function of their own.
create or replace function retention.admit_entries() returns trigger
language plpgsql volatile security invoker set search_path = pg_catalog, pg_temp as $$
begin
  if pg_has_role(current_user, (select relowner from pg_class where oid = tg_relid), 'USAGE') then
    return null;
  end if;
  if exists (
    select 1 from (select distinct run, seq, case when prefix is not null then '' end as prefix from written) w
    where w.run is null or w.prefix is null or retention.entered(w.run, w.seq) is null or not exists (
      select 1 from retention.receipt c where c.run = w.run and c.seq = w.seq
        and c.files = (select count(*) from retention.outbox o where o.run = w.run and o.seq = w.seq))
  ) then
    raise exception 'lapse: files are queued by the batch whose receipt counts them' using errcode = 'LP012';
  end if;
  return null;
end $$;
comment on function retention.admit_entries() is 'Statement trigger: an entry of the outbox only in the transaction of its batch, and counted by its receipt.';
drop trigger if exists lapse_batch_only on retention.outbox;
create or replace trigger lapse_admit after insert on retention.outbox referencing new table as written
  for each statement execute function retention.admit_entries();
