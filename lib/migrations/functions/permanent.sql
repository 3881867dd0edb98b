-- Permanent tables: no policy ever takes a row, and the app has no right to delete there. An operator may have one
-- row removed by its key, where the table's owner permits it.

-- `parts` is the key, one value a column, in any spelling its type reads. Null: the row whose person_column has this
-- keyed hash (HMAC-SHA256, `inner_key` and `outer_key` its two padded keys) in lower case and without blanks around it;
-- then the entry names the hash and nothing else, and the address itself comes to no server. Returns the entry of the chain,
-- or nothing when no such row is there. Whatever a cascade or a trigger would take along undoes it.
create or replace function retention.remove_permanent(who text, why text, relation text, parts text[], digest text,
  inner_key text, outer_key text)
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
  if t.id is null or (parts is null and g.person_column is null) then
    raise exception 'lapse: no permission to remove rows of %', relation using errcode = 'LP011';
  end if;
  if parts is null then
    -- `format` writes a value with the output function of its type, which only a superuser can define.
    select array[inner_key, outer_key, digest] as printed,
        format('encode(sha256(decode($1[2], ''hex'') || sha256(decode($1[1], ''hex'')
          || convert_to(lower(btrim(format(''%%s'', t.%I)) collate "C"), ''UTF8''))), ''hex'') = $1[3]', g.person_column) as same,
        0 as columns
      into k;
  else
    select count(*) as columns, count(p.printed) as fit, array_agg(p.printed order by x.i) as printed,
        string_agg(format('t.%I = ($1[%s])::%s', x.c, x.i, p.base_name), ' and ') as same
      into k from unnest(g.key_columns) with ordinality x(c, i)
      cross join lateral retention.as_printed(t.nspname, t.relname, x.c, parts[x.i::int]) p;
    -- An entry is never changed: an address as a key would stay in it.
    if k.columns <> k.fit or k.columns <> cardinality(parts) or g.person_column = any(g.key_columns) then
      raise exception 'lapse: this is no key of %', relation using errcode = '22023';
    end if;
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
  if parts is null then
    return query select * from retention.record_operator(who, 'blacklist.removed', relation || ' hmac-sha256:' || digest, why,
      jsonb_build_object('table', relation, 'hmac_sha256', digest));
  else
    return query select * from retention.record_operator(who, 'blacklist.removed',
      relation || ' ' || case when k.columns = 1 then k.printed[1] else to_jsonb(k.printed)::text end, why,
      jsonb_build_object('table', relation, 'key', to_jsonb(k.printed)));
  end if;
end $$;
comment on function retention.remove_permanent(text, text, text, text[], text, text, text) is
  'Removes one row of a permanent table by its key or by the keyed hash of an address, with the entry of the chain; the table''s owner permits it in permanent_table.';
