-- Partitioned tables: one name for a table and its partitions, what a partition looks like, and the one function
-- that drops one.

-- A table by its label, schema.name without quotes; null when there is none.
create or replace function retention.relation_named(label text) returns regclass
language sql stable security invoker set search_path = pg_catalog, pg_temp as $$
  select c.oid::regclass from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where n.nspname || '.' || c.relname = label and c.relkind in ('r', 'p', 'f') order by length(n.nspname) limit 1
$$;
comment on function retention.relation_named(text) is 'The table a label names, in the form receipts and holds use.';

create or replace function retention.label_of(relation regclass) returns text
language sql stable security invoker set search_path = pg_catalog, pg_temp as $$
  select n.nspname || '.' || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = relation
$$;
comment on function retention.label_of(regclass) is 'The name by which receipts and holds call a table.';

-- The partition may be gone: then its own receipt says what it was a part of.
create or replace function retention.root_of(label text) returns regclass
language sql stable security invoker set search_path = pg_catalog, pg_temp as $$
  select coalesce(
    pg_partition_root(retention.relation_named(label)), retention.relation_named(label),
    retention.relation_named((select c.table_name from retention.receipt c where c.partition ->> 'name' = label order by c.id desc limit 1)))
$$;
comment on function retention.root_of(text) is 'The table that a partition is, or was, a part of; any other table is its own.';

-- Rows of partitions were receipted under the partition's name where a policy named it.
create or replace function retention.names_of(label text) returns text[]
language sql stable security invoker set search_path = pg_catalog, pg_temp as $$
  with root as (select retention.root_of(label) as oid)
  select array(
    select label
    union select retention.label_of(t.relid) from root, pg_partition_tree(root.oid) t
    union select c.partition ->> 'name' from root, retention.receipt c where c.partition is not null and c.table_name = retention.label_of(root.oid))
$$;
comment on function retention.names_of(text) is 'Every name under which a row of this table may stand in a receipt: the table''s and its partitions''.';

create or replace function retention.name_by_root() returns trigger
language plpgsql security invoker set search_path = pg_catalog, pg_temp as $$
begin
  new.table_name := coalesce(retention.label_of(retention.root_of(new.table_name)), new.table_name);
  return new;
end $$;
comment on function retention.name_by_root() is 'What keeps a row names the table its partition is a part of, for the row may be looked for there.';
create or replace trigger lapse_root before insert or update of table_name on retention.hold
  for each row when (new.table_name is not null) execute function retention.name_by_root();
create or replace trigger lapse_root before insert or update of table_name on retention.extension
  for each row execute function retention.name_by_root();
create or replace trigger lapse_root before insert or update of table_name on retention.dead_letter
  for each row execute function retention.name_by_root();

-- Run by the owner, once, and again by whatever adds partitions: rights and guards of a partition are its own.
create or replace function retention.open_partitions(relation text) returns void
language plpgsql volatile security invoker set search_path = pg_catalog, pg_temp as $$
declare
  leaf regclass;
  within regnamespace;
begin
  for leaf, within in select t.relid, c.relnamespace from pg_partition_tree(to_regclass(relation)) t join pg_class c on c.oid = t.relid where t.isleaf loop
    if not has_schema_privilege('lapse_app', within, 'USAGE') then
      execute format('grant usage on schema %s to lapse_app', within);
    end if;
    if not (has_table_privilege('lapse_app', leaf, 'SELECT') and has_any_column_privilege('lapse_app', leaf, 'UPDATE')
      and has_table_privilege('lapse_app', leaf, 'DELETE')) then
      execute format('grant select, update, delete on %s to lapse_app', leaf);
    end if;
  end loop;
  perform retention.protect(relation);
end $$;
comment on function retention.open_partitions(text) is
  'Run by the owner of a partitioned table that a policy governs: lets Lapse work on every partition there is, and guards each.';

-- One row a leaf: its bounds in UTC as text (null: none, as of a default partition), and why it could never go whole.
create or replace function retention.partitions(parent regclass)
returns table (relation regclass, schema_name text, table_name text, kind text, direct boolean,
  lower_bound text, upper_bound text, may boolean, obstacle text)
language sql stable security invoker set search_path = pg_catalog, pg_temp set timezone = 'UTC' set datestyle = 'ISO, YMD' as $$
  -- Each read once, however many partitions there are: no index answers for either.
  with referenced as materialized (select distinct f.confrelid as oid from pg_constraint f where f.contype = 'f'),
  published as materialized (
    select pc.oid from pg_publication_tables x join pg_namespace pn on pn.nspname = x.schemaname
    join pg_class pc on pc.relnamespace = pn.oid and pc.relname = x.tablename
    where exists (select 1 from pg_publication)
  )
  select c.oid::regclass, n.nspname::text, c.relname::text, c.relkind::text, i.inhparent is not distinct from parent::oid,
    nullif(b.m[1], 'MINVALUE'), nullif(b.m[2], 'MAXVALUE'),
    has_schema_privilege(n.oid, 'USAGE') and has_table_privilege(c.oid, 'SELECT') and has_table_privilege(c.oid, 'DELETE') and has_any_column_privilege(c.oid, 'UPDATE'),
    case
      when i.inhparent is distinct from parent::oid then 'nested'
      when b.bound = 'DEFAULT' then 'default'
      when c.relkind <> 'r' then 'foreign'
      when i.inhdetachpending then 'pending'
      when c.oid in (select r.oid from referenced r) or parent::oid in (select r.oid from referenced r) then 'referenced'
      when exists (select 1 from pg_trigger g where g.tgrelid in (c.oid, parent) and not g.tgisinternal and g.tgenabled <> 'D'
        and (g.tgtype & 8) = 8 and g.tgfoid <> 'retention.guard_deletion()'::regprocedure) then 'trigger'
      when c.oid in (select p.oid from published p) or parent::oid in (select p.oid from published p) then 'published'
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

-- What of its rows keeps a partition from going whole, when all of them are old enough; null: nothing.
create or replace function retention.kept_in(granted text, leaf regclass, at timestamptz) returns text
language plpgsql volatile security invoker set search_path = pg_catalog, pg_temp as $$
declare
  g record;
  named text[] := array[granted, retention.label_of(leaf)];
  key text;
  yes boolean;
begin
  select * into strict g from retention.partition_grant where table_name = granted;
  key := case when cardinality(g.key_columns) = 1 then format('t.%I::text', g.key_columns[1])
    else (select 'jsonb_build_array(' || string_agg(format('t.%I::text', k), ', ' order by n) || ')::text'
      from unnest(g.key_columns) with ordinality x(k, n)) end;
  if cardinality(g.file_columns) > 0 then
    execute format('select exists (select 1 from only %s t where %s)', leaf,
      (select string_agg(format('coalesce(t.%I::text, '''') <> ''''', k), ' or ') from unnest(g.file_columns) k)) into yes;
    if yes then return 'files'; end if;
  end if;
  if exists (select 1 from retention.hold where released_at is null) then
    -- A table without organizations or users has no such column: its rows can be held one by one only.
    execute format('select exists (select 1 from only %s t where %s)', leaf, concat_ws(' or ',
      retention.held_by('organization', g.organization_column), retention.held_by('user', g.user_column),
      format('exists (select 1 from retention.hold h where h.released_at is null and h.scope = ''item'' and h.table_name = any($1) and h.subject = %s)', key)))
      into yes using named;
    if yes then return 'held'; end if;
  end if;
  if exists (select 1 from retention.extension where table_name = any(named) and keep_until > at) then
    execute format('select exists (select 1 from only %s t where exists (
      select 1 from retention.extension e where e.table_name = any($1) and e.row_key = %s and e.keep_until > $2))', leaf, key) into yes using named, at;
    if yes then return 'extended'; end if;
  end if;
  if exists (select 1 from retention.dead_letter where table_name = any(named) and state in ('open', 'discarded')) then
    execute format('select exists (select 1 from only %s t where exists (
      select 1 from retention.dead_letter d where d.table_name = any($1) and d.row_key = %s and d.state in (''open'', ''discarded'')))', leaf, key)
      into yes using named;
    if yes then return 'dead_letter'; end if;
  end if;
  return null;
end $$;
comment on function retention.kept_in(text, regclass, timestamptz) is
  'Why a partition must stay for one of its rows: files, held, extended or dead_letter. Called by drop_partition under its locks.';

create or replace function retention.held_by(scope text, by_column text) returns text
language sql immutable security invoker set search_path = pg_catalog, pg_temp as $$
  select case when by_column is not null then format(
    'exists (select 1 from retention.hold h where h.released_at is null and h.scope = %L and h.subject = t.%I::text)', scope, by_column) end
$$;
comment on function retention.held_by(text, text) is 'The condition that a hold of this scope is on row t; null without a column for it.';

-- Is a partition old enough to go whole: its bound and its oldest and newest row before the cutoff, the bound older than the grant's least age?
create or replace function retention.is_past(granted text, leaf regclass, upper_bound text, cutoff timestamptz) returns boolean
language plpgsql volatile security invoker set search_path = pg_catalog, pg_temp as $$
declare
  g record;
  clock text;
  clock_type text;
  before text;
  bound_past boolean;
  rows_past boolean;
begin
  select * into strict g from retention.partition_grant where table_name = granted;
  select a.attname, format_type(a.atttypid, null) into clock, clock_type
    from pg_partitioned_table t join pg_attribute a on a.attrelid = t.partrelid and a.attnum = t.partattrs[0]
    where t.partrelid = retention.relation_named(granted) and t.partstrat = 'r' and t.partnatts = 1;
  -- In the zone the owner says the clock was written in, whatever the caller's is.
  before := case clock_type
    when 'timestamp with time zone' then '%s'
    when 'timestamp without time zone' then 'retention.local_time(%s, $3)'
    when 'date' then 'retention.local_time(%s, $3)::date' end;
  if before is null then
    raise exception 'lapse: % is not partitioned by range of one point in time', granted using errcode = 'LP011';
  end if;
  if upper_bound is null then
    return false;
  end if;
  execute format('select %1$L::%2$s <= %3$s and %1$L::%2$s <= %4$s', upper_bound, clock_type, format(before, '$1'), format(before, '$2'))
    into bound_past using cutoff, retention.clock() - g.least_age, g.zone;
  execute format('select count(*) = 0 or isfinite(min(t.%1$I)) and max(t.%1$I) < %2$s from only %3$s t', clock, format(before, '$1'), leaf)
    into rows_past using cutoff, null::timestamptz, g.zone;
  return coalesce(bound_past and rows_past, false);
end $$;
comment on function retention.is_past(text, regclass, text, timestamptz) is
  'Whether every row of a partition is before the cutoff and the partition older than its owner allows. Called by drop_partition.';

-- Drops one partition whose every row may go, with its receipt, or says why not and changes nothing. Nothing the
-- caller says can widen it: policy, zone, least age, and what a row''s key, hold or file is, come from the grant; the
-- instant is never later than the database''s own, and the cutoff never later than the period its version declared.
create or replace function retention.drop_partition(
  p text, f bigint, r uuid, s int, v text, parent text, part text, cutoff timestamptz, at timestamptz,
  label text, most bigint, why text, out picked bigint, out deleted bigint, out obstacle text
) language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  above regclass := to_regclass(parent);
  it regclass := to_regclass(part);
  called text := retention.label_of(above);
  instant timestamptz := least(at, retention.clock());
  b record;
  past boolean;
begin
  picked := 0;
  deleted := 0;
  if current_setting('statement_timeout') = '0' or current_setting('lock_timeout') = '0' then
    raise exception 'lapse: a batch needs statement_timeout and lock_timeout' using errcode = 'LP006';
  end if;
  perform set_config('TimeZone', 'UTC', true), set_config('DateStyle', 'ISO, YMD', true), set_config('IntervalStyle', 'postgres', true),
    set_config('bytea_output', 'hex', true), set_config('extra_float_digits', '1', true);
  if not exists (select 1 from retention.partition_grant where table_name = called and policy = p) then
    raise exception 'lapse: no grant to drop partitions of % under policy %', parent, p using errcode = 'LP011';
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
  past := retention.is_past(called, it, b.upper_bound, cutoff);

  perform retention.enter_batch(p, f, r, s, v);
  past := past and cutoff <= instant - make_interval(secs =>
    (select (periods ->> label)::float8 from retention.policy_version where policy = p and version = v));
  obstacle := case
    when b.obstacle is not null then b.obstacle
    when past is not true then 'not_expired'
    when picked > coalesce(most, 0) then 'limit'
    else retention.kept_in(called, it, instant) end;
  if obstacle is not null then
    return;
  end if;

  -- A session that waits to write a row into this partition holds a lock on the table: it goes first, and we count again.
  if exists (select 1 from pg_locks where locktype = 'relation' and relation = it and not granted
    and database = (select oid from pg_database where datname = current_database())) then
    raise exception 'lapse: a row is about to be written into this partition' using errcode = '55P03';
  end if;
  -- From here on all others wait, so only briefly: a long reader of the table makes us try again instead of making them wait.
  perform set_config('lock_timeout', '100ms', true);
  execute format('lock table only %s in access exclusive mode', above);
  begin
    execute format('drop table %s', it);
  exception when dependent_objects_still_exist then
    obstacle := 'dependent';
    return;
  end;
  deleted := picked;
  perform retention.write_receipt(r, s, 'drop_partition', why, instant, called, '{}', null, '{}',
    case when deleted > 0 then jsonb_build_object(label, jsonb_build_object('deleted', deleted, 'bytes', 0)) else '{}' end,
    picked, deleted, 0, 0, 0, picked::int, '{}', '{"ended": true, "clock": null, "key": []}',
    jsonb_build_object('name', b.schema_name || '.' || b.table_name, 'from', b.lower_bound, 'to', b.upper_bound));
end $$;
comment on function retention.drop_partition(text, bigint, uuid, int, text, text, text, timestamptz, timestamptz, text, bigint, text) is
  'One batch that drops a whole partition: locks, exact count, fence, holds, extensions, receipt. `obstacle` says why it was left.';
