-- What a person wrote, as PostgreSQL prints it: holds, extensions and overrides are compared as text with a
-- column's own printed value, so they are stored in exactly that form and in no other.

-- `problem`: missing (no such column), inexact (the type would change the value), zone (the column has none),
-- relative (a word such as "today"), or the SQLSTATE of a value the type refuses.
-- `loose`: equal values of this type may be printed differently, as 1.5 and 1.50 of a numeric without a scale.
create or replace function retention.all_printed(in_schema text, in_table text, in_column text, all_given text[])
returns table(given text, printed text, type_name text, base_name text, loose boolean, problem text)
language plpgsql stable security invoker
set search_path = pg_catalog, pg_temp set timezone = 'UTC' set datestyle = 'ISO, YMD'
set intervalstyle = 'postgres' set bytea_output = 'hex' set extra_float_digits = '1' as $$
declare
  base record;
  exact boolean;
begin
  with recursive types(id, modifier, depth) as (
    select a.atttypid, a.atttypmod, 0
      from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = in_schema and c.relname = in_table and a.attname = in_column and a.attnum > 0 and not a.attisdropped
    union all
    select y.typbasetype, y.typtypmod, t.depth + 1 from types t
      cross join lateral (select * from pg_type where oid = t.id offset 0) y where y.typtype = 'd'
  )
  select t.id, t.modifier, y.typcategory, y.typtype, coalesce((select l.collisdeterministic from pg_attribute a
      join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace join pg_collation l on l.oid = a.attcollation
      where n.nspname = in_schema and c.relname = in_table and a.attname = in_column), true) as deterministic
    into base from types t cross join lateral (select * from pg_type where oid = t.id offset 0) y order by t.depth desc limit 1;
  if not found then
    return query select g, null::text, null::text, null::text, null::boolean, 'missing' from unnest(all_given) g;
    return;
  end if;
  type_name := format_type(base.id, base.modifier);
  base_name := format_type(base.id, -1);
  loose := base.typtype <> 'e' and (not base.deterministic or case base.id
    when 'numeric'::regtype then base.modifier = -1
    else base.id <> all (array['bool', 'int2', 'int4', 'int8', 'oid', 'uuid', 'text', 'varchar', 'bpchar', '"char"', 'name',
      'date', 'timestamp', 'timestamptz', 'time', 'bytea', 'inet', 'cidr', 'macaddr', 'bit', 'varbit', 'pg_lsn']::regtype[]) end);
  foreach given in array all_given loop
    printed := null;
    problem := null;
    if given is null then
      problem := '22004';
      return next;
      continue;
    end if;
    begin
      execute format('select ($1::%s)::text', type_name) into printed using given;
      exact := true;
      if type_name <> base_name then
        execute format('select ($1::%1$s)::%2$s = $1::%2$s', type_name, base_name) into exact using given;
      end if;
      if (base.typcategory = 'S' and base.id <> 'bpchar'::regtype) or base.id = '"char"'::regtype then
        -- An explicit cast shortens a text that is too long, without a word.
        exact := printed = given;
      end if;
      if base.typcategory = 'D' and base.id = any (array['date', 'timestamp', 'timestamptz']::regtype[]) and printed <> given then
        if given !~ '\d' and printed not like '%infinity' then
          problem := 'relative';
        elsif base.id <> 'timestamptz'::regtype and given::timestamptz at time zone 'UTC' <> printed::timestamp then
          problem := case when given::timestamp = printed::timestamp then 'zone' else 'inexact' end;
        end if;
      end if;
      if problem is null and exact is not true then
        problem := 'inexact';
      end if;
    exception when others then
      problem := sqlstate;
    end;
    if problem is not null then
      printed := null;
    end if;
    return next;
  end loop;
end $$;
comment on function retention.all_printed(text, text, text, text[]) is
  'Values as the column prints them, each once, or why the column cannot hold one; the column''s type comes from the catalog, once for all of them.';

create or replace function retention.as_printed(in_schema text, in_table text, in_column text, given text,
  out printed text, out type_name text, out base_name text, out loose boolean, out problem text)
language sql stable security invoker set search_path = pg_catalog, pg_temp as $$
  select p.printed, p.type_name, p.base_name, p.loose, p.problem from retention.all_printed(in_schema, in_table, in_column, array[given]) p
$$;
comment on function retention.as_printed(text, text, text, text) is
  'One value as the column prints it, or why the column cannot hold it.';
