-- Permanent tables: no policy ever takes a row, and the app has no right to delete there. An operator may have one
-- row removed by its key, where the table's owner permits it.

-- `parts` is the key, one value a column, in any spelling its type reads. Returns the entry of the chain, or nothing
-- when no such row is there. Whatever a cascade or a trigger would take along undoes it.
create or replace function retention.remove_permanent(who text, why text, relation text, parts text[])
returns setof retention.audit_entry
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  g retention.permanent_table;
  t record;
  k record;
  before jsonb := retention.deletions();
  elsewhere bigint;
  n bigint;
begin
  if (select stopped from retention.kill_switch) then
    raise exception 'lapse: everything is stopped' using errcode = 'LP003';
  end if;
  select * into g from retention.permanent_table where table_name = relation;
  select c.oid::regclass as id, s.nspname, c.relname into t from pg_class c join pg_namespace s on s.oid = c.relnamespace
    where c.relkind = 'r' and s.nspname || '.' || c.relname = g.table_name;
  if t.id is null then
    raise exception 'lapse: no permission to remove rows of %', relation using errcode = 'LP011';
  end if;
  select count(*) as columns, count(p.printed) as fit, array_agg(p.printed order by x.i) as printed,
      string_agg(format('t.%I = ($1[%s])::%s', x.c, x.i, p.base_name), ' and ') as same
    into k from unnest(g.key_columns) with ordinality x(c, i)
    cross join lateral retention.as_printed(t.nspname, t.relname, x.c, parts[x.i::int]) p;
  if k.columns <> k.fit or k.columns <> cardinality(parts) then
    raise exception 'lapse: this is no key of %', relation using errcode = '22023';
  end if;
  execute format('delete from only %s t where %s', t.id, k.same) using k.printed;
  get diagnostics n = row_count;
  if n = 0 then
    return;
  end if;
  select coalesce(sum(coalesce(a.value, 0) - coalesce(b.value, 0)), 0) into elsewhere
    from (select key, value::bigint from jsonb_each_text(retention.deletions())) a
    full join (select key, value::bigint from jsonb_each_text(before)) b using (key);
  if n <> 1 or elsewhere <> 1 then
    raise exception 'lapse: this would remove % rows; a key names one', elsewhere using errcode = 'LP013';
  end if;
  return query select * from retention.record_operator(who, 'blacklist.removed',
    relation || ' ' || case when k.columns = 1 then k.printed[1] else to_jsonb(k.printed)::text end, why,
    jsonb_build_object('table', relation, 'key', to_jsonb(k.printed)));
end $$;
comment on function retention.remove_permanent(text, text, text, text[]) is
  'Removes one row of a permanent table by its key, with the entry of the chain; the table''s owner permits it in permanent_table.';
