-- Partitioned tables: one name for a table and its partitions, what a partition looks like, and the one function
-- that drops one.

-- As pg_partition_tree, which locks every partition until the transaction ends: of thousands the server has no room for so many
-- locks. A partition whose detaching has begun is none any more. Nothing for a table that is not partitioned.
create or replace function retention.parts_of(relation regclass) returns table (relid oid, above oid, isleaf boolean, level int)
language sql stable security invoker set search_path = pg_catalog, pg_temp rows 100 as $$
  with recursive t(relid, above, level) as (
    select c.oid, null::oid, 0 from pg_class c where c.oid = relation and (c.relkind = 'p' or c.relispartition)
    union all
    select i.inhrelid, i.inhparent, t.level + 1 from t join pg_inherits i on i.inhparent = t.relid
    where not i.inhdetachpending and exists (select 1 from pg_class p where p.oid = t.relid and p.relkind = 'p')
  )
  select t.relid, t.above, c.relkind <> 'p', t.level from t join pg_class c on c.oid = t.relid order by t.relid
$$;
comment on function retention.parts_of(regclass) is 'A partitioned table and its partitions at every level, as far as they are attached, without a lock on any.';

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
    union select retention.label_of(t.relid) from root, retention.parts_of(root.oid) t
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

-- Run by the owner, once, and again by whatever adds partitions: rights and guards of a partition are its own. So many at a time:
-- each is locked until the transaction ends, and the server has room for some six thousand locks.
create or replace function retention.open_partitions(relation text) returns bigint
language plpgsql volatile security invoker set search_path = pg_catalog, pg_temp as $$
declare
  leaf regclass;
  within regnamespace;
begin
  for leaf, within in
    select c.oid, c.relnamespace from retention.parts_of(to_regclass(relation)) t join pg_class c on c.oid = t.relid
    where t.isleaf and not (has_schema_privilege('lapse_app', c.relnamespace, 'USAGE') and has_table_privilege('lapse_app', c.oid, 'SELECT')
      and has_any_column_privilege('lapse_app', c.oid, 'UPDATE') and has_table_privilege('lapse_app', c.oid, 'DELETE'))
  loop
    if not has_schema_privilege('lapse_app', within, 'USAGE') then
      execute format('grant usage on schema %s to lapse_app', within);
    end if;
    if not (has_table_privilege('lapse_app', leaf, 'SELECT') and has_any_column_privilege('lapse_app', leaf, 'UPDATE')
      and has_table_privilege('lapse_app', leaf, 'DELETE')) then
      execute format('grant select, update, delete on %s to lapse_app', leaf);
    end if;
  end loop;
  return retention.protect(relation);
end $$;
comment on function retention.open_partitions(text) is
  'Run by the owner of a partitioned table that a policy governs: lets Lapse work on every partition there is, and guards each, a thousand a call; answers how many are left.';

-- One row a leaf, or the one that is asked for: its bounds in UTC as text (null: none, as of a default partition), and why it could never go whole.
create or replace function retention.partitions(parent regclass, alone regclass default null)
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
  from (
    select x.relid from retention.parts_of(parent) x where alone is null and x.isleaf and x.level > 0
    -- One of many is not looked for among all.
    union all select c.oid from pg_class c where c.oid = alone and c.relispartition and c.relkind <> 'p' and pg_partition_root(c.oid) = parent
  ) t join pg_class c on c.oid = t.relid join pg_namespace n on n.oid = c.relnamespace
  left join pg_inherits i on i.inhrelid = c.oid
  cross join lateral (
    select x.bound, regexp_match(x.bound, '^FOR VALUES FROM \(''?([^'']*?)''?\) TO \(''?([^'']*?)''?\)$') as m
    from (select pg_get_expr(c.relpartbound, c.oid) as bound) x
  ) b
$$;
comment on function retention.partitions(regclass, regclass) is
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
  select a.attname, format_type(b.id, null) into clock, clock_type
    from pg_partitioned_table t join pg_attribute a on a.attrelid = t.partrelid and a.attnum = t.partattrs[0]
      cross join lateral (with recursive y(id, below) as (
          select p.oid, p.typbasetype from pg_type p where p.oid = a.atttypid
          union all
          select p.oid, p.typbasetype from y join pg_type p on p.oid = y.below)
        select y.id from y where y.below = 0) b
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
  select * into b from retention.partitions(above, it) x where x.relation = it and x.direct;
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

-- A partitioned table is asked partition by partition: asked as a whole it is planned, and locked, with all of its partitions, for
-- which the server has no room. Each is asked in a block of its own that is undone, which gives back its locks; the query is
-- the caller's, with its rights, settings and search_path, and names the partition as "lapse"."any leaf". One that was dropped
-- meanwhile has no rows.
create or replace function retention.counts_of(query text, leaves oid[], most bigint) returns bigint[]
language plpgsql volatile security invoker as $$
declare
  counts bigint[] := array_fill(0::bigint, array[cardinality(leaves)]);
  room bigint := most;
  n bigint;
begin
  for i in 1..cardinality(leaves) loop
    exit when room <= 0;
    begin
      execute format('select count(*) from (select 1 from (%s) y limit $1) x', retention.on_leaf(query, leaves[i])) into n using room;
      raise exception 'lapse: undone' using errcode = 'LP100';
    exception
      when sqlstate 'LP100' then
        counts[i] := n;
        room := room - n;
      when undefined_table then
        if exists (select 1 from pg_class where oid = leaves[i]) then raise; end if;
    end;
  end loop;
  return counts;
end $$;
comment on function retention.counts_of(text, oid[], bigint) is
  'How many rows a query finds on each of these partitions, counted until there are so many; holds the locks of one partition at a time.';

create or replace function retention.answers_of(query text, leaves oid[]) returns setof jsonb
language plpgsql volatile security invoker as $$
declare
  answers jsonb[];
begin
  for i in 1..cardinality(leaves) loop
    answers := null;
    begin
      execute format('select array_agg(to_jsonb(x)) from (%s) x', retention.on_leaf(query, leaves[i])) into answers;
      raise exception 'lapse: undone' using errcode = 'LP100';
    exception
      when sqlstate 'LP100' then
        null;
      when undefined_table then
        if exists (select 1 from pg_class where oid = leaves[i]) then raise; end if;
    end;
    return query select unnest(answers);
  end loop;
end $$;
comment on function retention.answers_of(text, oid[]) is
  'What a query answers on each of these partitions, row by row; holds the locks of one partition at a time.';

create or replace function retention.on_leaf(query text, leaf oid) returns text
language sql stable security invoker set search_path = pg_catalog, pg_temp as $$
  select replace(replace(query, '"lapse"."any leaf"', format('%I.%I', n.nspname, c.relname)),
    '''lapse.any leaf''', quote_literal(n.nspname || '.' || c.relname))
  from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = leaf
$$;
comment on function retention.on_leaf(text, oid) is 'A query with the name of a partition where "lapse"."any leaf" stands; null for one that was dropped.';
