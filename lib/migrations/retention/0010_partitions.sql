-- Whole partitions as a way to delete: what the owner allows, what a partitioned table looks like, and the one
-- function that drops. Everything happens in one transaction, so there is no half-dropped partition to find:
-- writers to the one old partition wait for the count, everybody else only for the drop itself.
-- DETACH CONCURRENTLY is refused inside a transaction, so it could neither be fenced nor write its receipt.

-- Up Migration

create table retention.partition_grant (
  table_name          text primary key check (table_name like '_%._%'),
  least_age           interval not null check (least_age > interval '0'),
  key_columns         text[] not null check (cardinality(key_columns) > 0),
  organization_column text,
  user_column         text,
  file_columns        text[] not null default '{}',
  granted_by          text not null default session_user,
  created_at          timestamptz not null default now(),
  updated_at          timestamptz not null default now()
);
create trigger lapse_touch before update on retention.partition_grant for each row execute function retention.touch();
comment on table retention.partition_grant is 'Tables whose owner lets Lapse drop whole expired partitions. Written by the owner only.';
comment on column retention.partition_grant.table_name is 'The partitioned table, schema.name.';
comment on column retention.partition_grant.least_age is 'A partition that ended less long ago is never dropped, whatever a policy says.';
comment on column retention.partition_grant.key_columns is 'Columns of the key by which holds, extensions and dead letters name a row, in the policy''s order.';
comment on column retention.partition_grant.organization_column is 'Column by which a hold on an organization finds a row.';
comment on column retention.partition_grant.user_column is 'Column by which a hold on a user finds a row.';
comment on column retention.partition_grant.file_columns is 'Columns that name files to be deleted with the row: a partition with such files is never dropped.';
comment on column retention.partition_grant.granted_by is 'Who granted it.';
comment on column retention.partition_grant.created_at is 'When it was granted.';
comment on column retention.partition_grant.updated_at is 'When the grant last changed.';

alter table retention.receipt add column partition jsonb;
comment on column retention.receipt.partition is 'Of a dropped partition: its name and bounds. Its rows are not named one by one.';
alter table retention.receipt drop constraint receipt_deleted_check;
-- An empty partition leaves a receipt too.
alter table retention.receipt add constraint receipt_deleted_check check (deleted > 0 or action = 'drop_partition');
alter table retention.receipt add constraint receipt_partition_check check ((action = 'drop_partition') = (partition is not null));

-- Receipts without a partition hash as they always did.
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
    || retention.audit_field(to_char(c.committed_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
    || coalesce(retention.audit_field(c.partition::text), ''), 'UTF8'))
$$;

-- One row a leaf: its bounds in UTC as text (null: none, as of a default partition), and why it could never go whole.
create function retention.partitions(parent regclass)
returns table (relation regclass, schema_name text, table_name text, kind text, direct boolean,
  lower_bound text, upper_bound text, may boolean, obstacle text)
language sql stable security invoker set search_path = pg_catalog, pg_temp set timezone = 'UTC' set datestyle = 'ISO, YMD' as $$
  select c.oid::regclass, n.nspname::text, c.relname::text, c.relkind::text, i.inhparent is not distinct from parent::oid,
    nullif(b.m[1], 'MINVALUE'), nullif(b.m[2], 'MAXVALUE'),
    has_table_privilege(c.oid, 'SELECT') and has_table_privilege(c.oid, 'DELETE') and has_table_privilege(c.oid, 'UPDATE'),
    case
      when i.inhparent is distinct from parent::oid then 'nested'
      when b.bound = 'DEFAULT' then 'default'
      when c.relkind <> 'r' then 'foreign'
      when i.inhdetachpending then 'pending'
      when exists (select 1 from pg_constraint f where f.contype = 'f' and f.confrelid in (c.oid, parent)) then 'referenced'
      when exists (select 1 from pg_trigger g where g.tgrelid in (c.oid, parent) and not g.tgisinternal and g.tgenabled <> 'D'
        and (g.tgtype & 8) = 8) then 'trigger'
      when exists (select 1 from pg_publication_tables x join pg_class pc on pc.relname = x.tablename and pc.relnamespace = x.schemaname::regnamespace
        where pc.oid in (c.oid, parent)) then 'published'
      when not exists (select 1 from pg_proc f where f.pronamespace = 'retention'::regnamespace and f.proname = 'drop_partition'
        and pg_has_role(f.proowner, c.relowner, 'USAGE')) then 'not_owned'
    end
  from pg_partition_tree(parent) t join pg_class c on c.oid = t.relid join pg_namespace n on n.oid = c.relnamespace
  left join pg_inherits i on i.inhrelid = c.oid
  cross join lateral (
    select x.bound, regexp_match(x.bound, '^FOR VALUES FROM \(''?([^'']*?)''?\) TO \(''?([^'']*?)''?\)$') as m
    from (select pg_get_expr(c.relpartbound, c.oid) as bound) x
  ) b
  where t.isleaf and t.level > 0
$$;
comment on function retention.partitions(regclass) is
  'The partitions that hold rows: bounds, whether the caller may delete from them, and what keeps one from ever being dropped whole.';

-- Drops one partition whose every row may go, with its receipt, or says why not and changes nothing.
-- Nothing the caller says can widen it: what a row''s key, hold or file is, and the least age, come from the grant.
create function retention.drop_partition(
  p text, f bigint, r uuid, s int, v text, parent text, part text, cutoff timestamptz, zone text, at timestamptz,
  label text, most bigint, who text, why text, out picked bigint, out deleted bigint, out obstacle text
) language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  above regclass := to_regclass(parent);
  it regclass := to_regclass(part);
  called text;
  g retention.partition_grant;
  b record;
  clock text;
  clock_type text;
  before text;
  key text;
  all_old boolean;
  yes boolean;
begin
  picked := 0;
  deleted := 0;
  if current_setting('statement_timeout') = '0' or current_setting('lock_timeout') = '0' then
    raise exception 'lapse: a batch needs statement_timeout and lock_timeout' using errcode = 'LP006';
  end if;
  perform set_config('TimeZone', 'UTC', true), set_config('DateStyle', 'ISO, YMD', true);
  select n.nspname || '.' || c.relname into called from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = above;
  select * into g from retention.partition_grant where table_name = called;
  if not found then
    raise exception 'lapse: no grant to drop partitions of %', parent using errcode = 'LP011';
  end if;
  select a.attname, format_type(a.atttypid, null) into clock, clock_type
    from pg_partitioned_table t join pg_attribute a on a.attrelid = t.partrelid and a.attnum = t.partattrs[0]
    where t.partrelid = above and t.partstrat = 'r' and t.partnatts = 1;
  before := case clock_type
    when 'timestamp with time zone' then '$1'
    when 'timestamp without time zone' then '($1 at time zone $2)'
    when 'date' then '($1 at time zone $2)::date' end;
  if before is null then
    raise exception 'lapse: % is not partitioned by range of one point in time', parent using errcode = 'LP011';
  end if;

  -- Writers to this one partition wait from here on; its readers do not, nor does anyone at the others.
  if exists (select 1 from pg_inherits where inhrelid = it and inhparent = above) then
    begin
      execute format('lock table only %s in share row exclusive mode', it);
    exception when undefined_table then
      it := null;
    end;
  else
    it := null;
  end if;
  select * into b from retention.partitions(above) x where x.relation = it and x.direct;
  if not found then
    -- Gone already: perhaps by an earlier attempt whose answer was lost, which this names.
    perform retention.enter_batch(p, f, r, s, v);
    obstacle := 'gone';
    return;
  end if;
  -- Counted before the advisory locks are taken, so that placing a hold does not wait for it.
  execute format('select count(*) from only %s t', it) into picked;
  execute format('select coalesce(isfinite(min(t.%1$I)) and max(t.%1$I) < %2$s, true) from only %3$s t', clock, before, it)
    into all_old using cutoff, zone;

  perform retention.enter_batch(p, f, r, s, v);
  obstacle := b.obstacle;
  if obstacle is null then
    if b.upper_bound is null then
      yes := false;
    else
      execute format('select %1$L::%2$s <= %3$s and %1$L::%2$s <= %4$s', b.upper_bound, clock_type, before,
        replace(before, '$1', '$3')) into yes using cutoff, zone, clock_timestamp() - g.least_age;
    end if;
    if not yes or not all_old then
      obstacle := 'not_expired';
    elsif picked > most then
      obstacle := 'limit';
    end if;
  end if;
  key := case when cardinality(g.key_columns) = 1 then format('t.%I::text', g.key_columns[1])
    else (select 'jsonb_build_array(' || string_agg(format('t.%I::text', k), ', ' order by n) || ')::text'
      from unnest(g.key_columns) with ordinality x(k, n)) end;
  if obstacle is null and cardinality(g.file_columns) > 0 then
    execute format('select exists (select 1 from only %s t where %s)', it,
      (select string_agg(format('coalesce(t.%I::text, '''') <> ''''', k), ' or ') from unnest(g.file_columns) k)) into yes;
    if yes then obstacle := 'files'; end if;
  end if;
  if obstacle is null and exists (select 1 from retention.hold where released_at is null) then
    execute format('select exists (select 1 from only %s t where %s)', it, concat_ws(' or ',
      format('exists (select 1 from retention.hold h where h.released_at is null and h.scope = ''organization'' and h.subject = t.%I::text)', g.organization_column),
      format('exists (select 1 from retention.hold h where h.released_at is null and h.scope = ''user'' and h.subject = t.%I::text)', g.user_column),
      format('exists (select 1 from retention.hold h where h.released_at is null and h.scope = ''item'' and h.table_name = %L and h.subject = %s)', called, key)))
      into yes;
    if yes then obstacle := 'held'; end if;
  end if;
  if obstacle is null and exists (select 1 from retention.extension where table_name = called and keep_until > at) then
    execute format('select exists (select 1 from only %s t where exists (
      select 1 from retention.extension e where e.table_name = %L and e.row_key = %s and e.keep_until > $1))', it, called, key) into yes using at;
    if yes then obstacle := 'extended'; end if;
  end if;
  if obstacle is null and exists (select 1 from retention.dead_letter where table_name = called and state in ('open', 'discarded')) then
    execute format('select exists (select 1 from only %s t where exists (
      select 1 from retention.dead_letter d where d.table_name = %L and d.row_key = %s and d.state in (''open'', ''discarded'')))', it, called, key) into yes;
    if yes then obstacle := 'dead_letter'; end if;
  end if;
  if obstacle is not null then
    return;
  end if;

  -- Whoever waits to write a row into this partition holds a lock on the table: it goes first, and we count again.
  if exists (select 1 from pg_locks where locktype = 'relation' and relation = it and not granted
    and database = (select oid from pg_database where datname = current_database())) then
    raise exception 'lapse: a row is about to be written into this partition' using errcode = '55P03';
  end if;
  -- From here on everybody waits, so briefly: a long reader of the table makes us try again, not them wait.
  perform set_config('lock_timeout', '100ms', true);
  execute format('lock table only %s in access exclusive mode', above);
  begin
    execute format('drop table %s', it);
  exception when dependent_objects_still_exist then
    obstacle := 'dependent';
    return;
  end;
  deleted := picked;
  insert into retention.receipt (run, seq, policy, policy_version, action, actor, reason, as_of, table_name, keys, by_rule, locked, deleted,
    picked, cursor_after, partition)
  values (r, s, p, v, 'drop_partition', who, why, at, called, '{}',
    case when deleted > 0 then jsonb_build_object(label, jsonb_build_object('deleted', deleted, 'bytes', 0)) else '{}' end,
    picked, deleted, picked, '{"ended": true, "clock": null, "key": []}',
    jsonb_build_object('name', b.schema_name || '.' || b.table_name, 'from', b.lower_bound, 'to', b.upper_bound));
end $$;
comment on function retention.drop_partition(text, bigint, uuid, int, text, text, text, timestamptz, text, timestamptz, text, bigint, text, text) is
  'One batch that drops a whole partition: locks, exact count, fence, holds, extensions, receipt. `obstacle` says why it was left.';

grant select on retention.partition_grant to lapse_app;
revoke execute on function retention.partitions(regclass),
  retention.drop_partition(text, bigint, uuid, int, text, text, text, timestamptz, text, timestamptz, text, bigint, text, text) from public;
grant execute on function retention.partitions(regclass),
  retention.drop_partition(text, bigint, uuid, int, text, text, text, timestamptz, text, timestamptz, text, bigint, text, text) to lapse_app;

-- Down Migration

drop function retention.drop_partition(text, bigint, uuid, int, text, text, text, timestamptz, text, timestamptz, text, bigint, text, text);
drop function retention.partitions(regclass);
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
alter table retention.receipt drop constraint receipt_partition_check;
alter table retention.receipt drop constraint receipt_deleted_check;
-- Receipts of empty partitions, if any, stay as they are.
alter table retention.receipt add constraint receipt_deleted_check check (deleted > 0) not valid;
alter table retention.receipt drop column partition;
drop table retention.partition_grant;
