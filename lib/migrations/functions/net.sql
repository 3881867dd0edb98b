-- The net: trusts no analysis of the schema. The database counts the rows that a transaction deletes in each table,
-- whatever deletes them: a cascade, a trigger, a rule. A batch whose count is not what its receipt names rolls back;
-- rows deleted by the role of the app without such a batch do not commit.

-- Rows this session has deleted and inserted and not yet reported, by table. Also leftovers of its earlier transactions
-- show: only the difference between two looks means anything. A TRUNCATE or DROP by a trigger is not counted.
--
-- PL/pgSQL, here and wherever each batch calls: before PostgreSQL 18 a function in SQL is planned at every call.
create or replace function retention.movements() returns jsonb
language plpgsql volatile security invoker set search_path = pg_catalog, pg_temp as $$
begin
  return (select jsonb_build_object(
    'deleted', coalesce(jsonb_object_agg(x.oid::text, x.deleted) filter (where x.deleted > 0), '{}'),
    'inserted', coalesce(jsonb_object_agg(x.oid::text, x.inserted) filter (where x.inserted > 0), '{}'))
  from (
    select c.oid, pg_stat_get_xact_tuples_deleted(c.oid) as deleted, pg_stat_get_xact_tuples_inserted(c.oid) as inserted
    from pg_class c
    where c.relkind = 'r' and c.relpersistence <> 't'
      and c.relnamespace not in ('retention'::regnamespace, 'pg_catalog'::regnamespace, 'information_schema'::regnamespace)
  ) x where x.deleted > 0 or x.inserted > 0);
end $$;
comment on function retention.movements() is
  'Rows deleted and inserted in each ordinary table outside Lapse''s schema, as the database counts them in this session.';

create or replace function retention.deletions() returns jsonb
language sql volatile security invoker set search_path = pg_catalog, pg_temp as $$
  select retention.movements() -> 'deleted'
$$;
comment on function retention.deletions() is 'Rows deleted in each ordinary table outside Lapse''s schema, as the database counts them in this session.';

-- What enter_batch leaves for confirm_batch: readable by all, written by no one who does not know the secret, and
-- worth nothing in another transaction.
create or replace function retention.proof_of(r uuid, s int, before jsonb) returns text
language plpgsql volatile security invoker set search_path = pg_catalog, pg_temp as $$
begin
  return (select encode(sha256(convert_to(concat_ws('|', secret, pg_current_xact_id()::text, r::text, s::text, before::text, secret), 'UTF8')), 'hex')
    from retention.batch_secret);
end $$;
comment on function retention.proof_of(uuid, int, jsonb) is 'Proves that this transaction has entered this batch, with this count before it.';

-- Has this transaction entered this batch? Returns the count before it; null when it has not.
create or replace function retention.entered(r uuid, s int) returns jsonb
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  before jsonb := nullif(current_setting('lapse.movements', true), '')::jsonb;
begin
  if before is null or current_setting('lapse.proof', true) is distinct from retention.proof_of(r, s, before) then
    return null;
  end if;
  return before;
exception when invalid_text_representation then
  return null;
end $$;
comment on function retention.entered(uuid, int) is 'The counts of rows deleted and inserted before this batch, when this transaction has entered it; else null.';

-- On each table that Lapse deletes from. The application's own deletions are not its business: only those of a login
-- that is in one of Lapse's roles, also one that has its rights only by SET ROLE, and has not those of the table's owner (a superuser has).
create or replace function retention.guard_deletion() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  n bigint;
begin
  if (pg_has_role(session_user, 'lapse_app', 'MEMBER') or exists (select from pg_roles r
      where r.rolname in ('lapse_operator', 'lapse_reader') and pg_has_role(session_user, r.oid, 'MEMBER')))
    and not pg_has_role(session_user, (select relowner from pg_class where oid = tg_relid), 'USAGE') then
    insert into retention.unconfirmed_deletion default values returning id into n;
    -- By it confirm_batch finds the row again; a wrong number in it only leaves the row there.
    perform set_config('lapse.unconfirmed', concat_ws(',', nullif(current_setting('lapse.unconfirmed', true), ''), n), true);
  end if;
  return null;
end $$;
comment on function retention.guard_deletion() is
  'Statement trigger AFTER DELETE: what a role of Lapse deletes here must be confirmed by a batch with its receipt.';

create or replace function retention.refuse_unconfirmed() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  if exists (select 1 from retention.unconfirmed_deletion where id = new.id) then
    raise exception 'lapse: rows were deleted without a receipt' using errcode = 'LP012',
      hint = 'Rows that Lapse governs are deleted by its batches only; use the role of your application for others.';
  end if;
  return null;
end $$;
comment on function retention.refuse_unconfirmed() is 'At commit: a deleting statement that no batch has confirmed stops it.';

-- So many at a time: each is locked until the transaction ends, and the server has room for some six thousand locks.
create or replace function retention.protect(relation text) returns bigint
language plpgsql volatile security invoker set search_path = pg_catalog, pg_temp as $$
declare
  at_a_time constant int := 1000;
  open oid[];
  t oid;
begin
  if to_regclass(relation) is null then
    raise exception 'lapse: there is no table %', relation using errcode = '42P01';
  end if;
  open := array(
    select r.oid from (select to_regclass(relation)::oid union select x.relid from retention.parts_of(to_regclass(relation)) x) r(oid)
    where not exists (select 1 from pg_trigger g where g.tgrelid = r.oid
        and g.tgfoid = 'retention.guard_deletion()'::regprocedure and g.tgenabled in ('O', 'A')));
  foreach t in array open[1:at_a_time] loop
    -- One that was switched off is put back.
    execute format('create or replace trigger lapse_guard after delete on %s for each statement execute function retention.guard_deletion()', t::regclass);
  end loop;
  return greatest(cardinality(open) - at_a_time, 0);
end $$;
comment on function retention.protect(text) is
  'Run by the owner of a table that a policy governs, or that goes with one: nothing leaves it by the role of the app without a receipt. A thousand partitions a call; answers how many are left.';

do $$
begin
  if not exists (select 1 from pg_trigger where tgrelid = 'retention.unconfirmed_deletion'::regclass and tgname = 'lapse_receipted') then
    create constraint trigger lapse_receipted after insert on retention.unconfirmed_deletion
      deferrable initially deferred for each row execute function retention.refuse_unconfirmed();
  end if;
end $$;
