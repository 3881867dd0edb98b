-- An index of a partitioned table without stopping writers, however many partitions there are.

-- The index is made of each partitioned table alone, where it stays invalid; of each leaf concurrently, and hung below the one
-- above. Nothing takes more than a few locks, and the whole is valid with the last. What is there already is not made again, so
-- a sequence that was interrupted is asked for once more; a build that failed is dropped first.
create or replace function retention.index_statements(relation text, columns text, uniquely boolean default false) returns setof text
language plpgsql stable security invoker set search_path = pg_catalog, pg_temp as $$
declare
  root regclass := to_regclass(relation);
  kind text := case when uniquely then 'UNIQUE INDEX' else 'INDEX' end;
begin
  if root is null then
    raise exception 'lapse: there is no table %', relation using errcode = '42P01';
  end if;
  return query
  with parts as materialized (
    select c.oid, c.relkind, t.level, i.inhparent as above, n.nspname,
      format('%I.%I', n.nspname, c.relname) as called,
      format('%s_%s_idx', left(c.relname, 30), left(md5(n.nspname || '.' || c.relname || ' ' || columns || kind), 12)) as made
    from retention.parts_of(root) t join pg_class c on c.oid = t.relid join pg_namespace n on n.oid = c.relnamespace
    left join pg_inherits i on i.inhrelid = c.oid and t.level > 0
    where c.relkind in ('r', 'p')
  ),
  -- The first index of each that is the same, by what PostgreSQL prints of it; one that hangs already, before one that does not.
  there as materialized (
    select distinct on (p.oid) p.oid, ic.relname, h.inhparent as below
    from parts p join pg_index x on x.indrelid = p.oid join pg_class ic on ic.oid = x.indexrelid
    left join pg_inherits h on h.inhrelid = x.indexrelid
    where x.indisunique = uniquely and x.indpred is null and (p.relkind = 'p' or x.indisvalid)
      and (ic.relname = p.made or replace(split_part(pg_get_indexdef(x.indexrelid), ' USING btree ', 2), '"', '') = replace('(' || columns || ')', '"', ''))
    order by p.oid, h.inhparent is null, x.indexrelid
  ),
  failed as materialized (
    select p.oid from parts p join pg_class ic on ic.relname = p.made join pg_index x on x.indexrelid = ic.oid and x.indrelid = p.oid
    where p.relkind = 'r' and not x.indisvalid
  ),
  named as materialized (
    select p.*, t.oid is not null as is_there, t.below, coalesce(t.relname, p.made) as index
    from parts p left join there t on t.oid = p.oid
  ),
  steps as (
    select n.relkind = 'r' as is_leaf, n.level, n.called, s.k, s.step
    from named n left join named a on a.oid = n.above cross join lateral (values
      (1, case when n.oid in (select f.oid from failed f) then format('DROP INDEX CONCURRENTLY %I.%I;', n.nspname, n.made) end),
      (2, case when n.is_there then null
        when n.relkind = 'p' then format('CREATE %s %I ON ONLY %s (%s);', kind, n.index, n.called, columns)
        else format('CREATE %s CONCURRENTLY %I ON %s (%s);', kind, n.index, n.called, columns) end),
      (3, case when a.oid is not null and n.below is null
        then format('SELECT retention.attach_index(%L, %L);',
          format('%I.%I', a.nspname, a.index), format('%I.%I', n.nspname, n.index)) end)
    ) s(k, step)
    where s.step is not null
  )
  select s.step from steps s order by s.is_leaf, s.level, s.called, s.k;
end $$;
comment on function retention.index_statements(text, text, boolean) is
  'Run by the owner of a partitioned table: the statements that make an index of it without stopping writers, in their order; none once it is there.';

-- PostgreSQL would hang up an invalid one, too, and could then neither drop nor mend it without all the others.
create or replace function retention.attach_index(above regclass, part regclass) returns void
language plpgsql volatile security invoker set search_path = pg_catalog, pg_temp as $$
begin
  if exists (select 1 from pg_index i join pg_class c on c.oid = i.indexrelid where i.indexrelid = part and not i.indisvalid and c.relkind = 'i') then
    raise exception 'lapse: index % is not valid, its build has failed', part using errcode = '55000',
      hint = 'Remove the reason, then ask retention.index_statements again.';
  end if;
  execute format('alter index %s attach partition %s', above, part);
end $$;
comment on function retention.attach_index(regclass, regclass) is
  'Run by the owner of a partitioned table: makes the valid index of a partition a part of the index above it.';
