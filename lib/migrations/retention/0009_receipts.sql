-- Keys of one uuid are kept as uuids: less than half the bytes to make, to write and to hash, which is what a batch
-- of twenty thousand rows does most of after deleting them. A receipt's keys enter its hash as the SHA-256 of the
-- array in PostgreSQL's binary form, a quarter of the work of its JSON text. Receipts written before keep their hash.

-- Up Migration

alter table retention.receipt alter column keys drop not null;
alter table retention.receipt add column uuid_keys uuid[];
alter table retention.receipt alter column uuid_keys set storage external;
alter table retention.receipt add column form smallint not null default 1 check (form in (1, 2));
alter table retention.receipt alter column form set default 2;
alter table retention.receipt add constraint receipt_keys check (num_nonnulls(keys, uuid_keys) = 1) not valid;
alter table retention.receipt validate constraint receipt_keys;
comment on column retention.receipt.keys is
  'Keys of the deleted rows as text; a key of several columns as a JSON array. Null where they are in uuid_keys.';
comment on column retention.receipt.uuid_keys is 'Keys of the deleted rows of a table whose key is one uuid; else null.';
comment on column retention.receipt.form is 'How the hash takes the keys: 1 as JSON text, 2 as SHA-256 of the binary array.';

create function retention.keys_of(c retention.receipt) returns text[]
language sql stable security invoker set search_path = pg_catalog, pg_temp as $$
  select coalesce(c.keys, c.uuid_keys::text[])
$$;
comment on function retention.keys_of(retention.receipt) is 'The keys a receipt names, as text, whichever column holds them.';

create or replace function retention.receipt_hash(c retention.receipt) returns bytea
language sql stable security invoker set search_path = pg_catalog, pg_temp as $$
  select sha256(convert_to(
    retention.audit_field(c.run::text) || retention.audit_field(c.seq::text) || retention.audit_field(c.policy)
    || retention.audit_field(c.policy_version) || retention.audit_field(c.action) || retention.audit_field(c.actor)
    || retention.audit_field(c.reason)
    || retention.audit_field(to_char(c.as_of at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
    || retention.audit_field(c.table_name)
    || retention.audit_field(case when c.form = 1 then to_jsonb(c.keys)::text
      else encode(sha256(coalesce(array_send(c.uuid_keys), array_send(c.keys))), 'hex') end)
    || retention.audit_field(c.dependants::text) || retention.audit_field(c.by_rule::text)
    || retention.audit_field(c.locked::text) || retention.audit_field(c.deleted::text)
    || retention.audit_field(c.dependants_deleted::text) || retention.audit_field(c.files::text)
    || retention.audit_field(c.bytes::text) || retention.audit_field(c.picked::text) || retention.audit_field(c.kept::text)
    || retention.audit_field(to_char(c.committed_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')), 'UTF8'))
$$;

create or replace function retention.resolve_letters() returns trigger
language plpgsql security invoker set search_path = pg_catalog, pg_temp as $$
begin
  if exists (select 1 from retention.dead_letter where table_name = new.table_name and state = 'open') then
    update retention.dead_letter set state = 'resolved', resolution = 'gone with run ' || new.run
      where table_name = new.table_name and state = 'open' and row_key = any(retention.keys_of(new));
  end if;
  return null;
end $$;

create or replace function retention.confirm_batch(r uuid, s int, still_there bigint) returns void
language plpgsql volatile security invoker set search_path = pg_catalog, pg_temp as $$
declare
  rc record;
begin
  select locked, deleted, coalesce(cardinality(uuid_keys), cardinality(keys)) as named into rc
    from retention.receipt where run = r and seq = s;
  if not found then
    return;
  end if;
  if rc.locked <> rc.deleted or rc.named <> rc.deleted or still_there <> 0 then
    raise exception 'lapse: counts differ: locked %, deleted %, named %, left %',
      rc.locked, rc.deleted, rc.named, still_there using errcode = 'LP007';
  end if;
end $$;

-- Naming a row as a whole reads all its keys: only where there is no hash.
create or replace function retention.run_digest(r uuid, out receipts bigint, out last_seq int, out deleted numeric, out digest text, out gaps jsonb)
language sql stable security invoker set search_path = pg_catalog, pg_temp as $$
  select count(*), coalesce(max(c.seq), 0), coalesce(sum(c.deleted), 0),
    encode(sha256(coalesce(string_agg(coalesce(c.hash, (select retention.receipt_hash(x) from retention.receipt x where x.id = c.id)), ''::bytea order by c.seq), ''::bytea)), 'hex'),
    (
      select coalesce(jsonb_agg(g.seq order by g.seq), '[]')
      from generate_series(1, (select max(seq) from retention.receipt where run = r)) g(seq)
      where not exists (select 1 from retention.receipt x where x.run = r and x.seq = g.seq)
    )
  from retention.receipt c where c.run = r
$$;

grant insert (uuid_keys) on retention.receipt to lapse_app;
revoke execute on function retention.keys_of(retention.receipt) from public;
grant execute on function retention.keys_of(retention.receipt) to lapse_app;

-- Down Migration

-- Receipts cannot be rewritten without breaking their hashes, nor lose their keys.
do $$ begin
  if exists (select 1 from retention.receipt where form = 2) then
    raise exception 'lapse: receipts of this form exist; going back would lose the keys they name';
  end if;
end $$;

create or replace function retention.confirm_batch(r uuid, s int, still_there bigint) returns void
language plpgsql volatile security invoker set search_path = pg_catalog, pg_temp as $$
declare
  rc record;
begin
  select locked, deleted, cardinality(keys) as named into rc from retention.receipt where run = r and seq = s;
  if not found then
    return;
  end if;
  if rc.locked <> rc.deleted or rc.named <> rc.deleted or still_there <> 0 then
    raise exception 'lapse: counts differ: locked %, deleted %, named %, left %',
      rc.locked, rc.deleted, rc.named, still_there using errcode = 'LP007';
  end if;
end $$;

create or replace function retention.resolve_letters() returns trigger
language plpgsql security invoker set search_path = pg_catalog, pg_temp as $$
begin
  if exists (select 1 from retention.dead_letter where table_name = new.table_name and state = 'open') then
    update retention.dead_letter set state = 'resolved', resolution = 'gone with run ' || new.run
      where table_name = new.table_name and state = 'open' and row_key = any(new.keys);
  end if;
  return null;
end $$;

create or replace function retention.receipt_hash(c retention.receipt) returns bytea
language sql stable security invoker set search_path = pg_catalog, pg_temp as $$
  select sha256(convert_to(
    retention.audit_field(c.run::text) || retention.audit_field(c.seq::text) || retention.audit_field(c.policy)
    || retention.audit_field(c.policy_version) || retention.audit_field(c.action) || retention.audit_field(c.actor)
    || retention.audit_field(c.reason)
    || retention.audit_field(to_char(c.as_of at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
    || retention.audit_field(c.table_name) || retention.audit_field(to_jsonb(c.keys)::text)
    || retention.audit_field(c.dependants::text) || retention.audit_field(c.by_rule::text)
    || retention.audit_field(c.locked::text) || retention.audit_field(c.deleted::text)
    || retention.audit_field(c.dependants_deleted::text) || retention.audit_field(c.files::text)
    || retention.audit_field(c.bytes::text) || retention.audit_field(c.picked::text) || retention.audit_field(c.kept::text)
    || retention.audit_field(to_char(c.committed_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')), 'UTF8'))
$$;

create or replace function retention.run_digest(r uuid, out receipts bigint, out last_seq int, out deleted numeric, out digest text, out gaps jsonb)
language sql stable security invoker set search_path = pg_catalog, pg_temp as $$
  select count(*), coalesce(max(c.seq), 0), coalesce(sum(c.deleted), 0),
    encode(sha256(coalesce(string_agg(coalesce(c.hash, retention.receipt_hash(c)), ''::bytea order by c.seq), ''::bytea)), 'hex'),
    (
      select coalesce(jsonb_agg(g.seq order by g.seq), '[]')
      from generate_series(1, (select max(seq) from retention.receipt where run = r)) g(seq)
      where not exists (select 1 from retention.receipt x where x.run = r and x.seq = g.seq)
    )
  from retention.receipt c where c.run = r
$$;

drop function retention.keys_of(retention.receipt);
alter table retention.receipt drop constraint receipt_keys;
alter table retention.receipt drop column form;
alter table retention.receipt drop column uuid_keys;
alter table retention.receipt alter column keys set not null;
