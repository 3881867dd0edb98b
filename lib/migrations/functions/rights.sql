-- What PUBLIC loses in a database that Lapse looks after, because every login has what PUBLIC has: objects of its own
-- making are how a role would lead functions that run as their owner astray. What was taken is written down, and
-- given back when Lapse is removed.

-- Roles that already work in this database keep the right by name. Does nothing the second time.
create or replace function retention.take_rights() returns void
language plpgsql volatile security invoker set search_path = pg_catalog, pg_temp as $$
declare
  db record;
  pub record;
  keeper name;
begin
  select d.datname, d.datdba, coalesce(d.datacl, acldefault('d', d.datdba)) as acl into db from pg_database d where d.datname = current_database();
  if not pg_has_role(db.datdba, 'USAGE') then
    raise warning 'lapse: its owner has to run: revoke temporary on database % from public', quote_ident(db.datname);
  elsif exists (select 1 from aclexplode(db.acl) a where a.grantee = 0 and a.privilege_type = 'TEMPORARY') then
    for keeper in select k.role from retention.working_roles() k loop
      execute format('grant temporary on database %I to %I', db.datname, keeper);
    end loop;
    execute format('revoke temporary on database %I from public', db.datname);
    insert into retention.taken_right (what) values ('temporary on the database') on conflict do nothing;
  end if;
  -- PostgreSQL 14 lets everyone create in schema public.
  select n.nspowner, coalesce(n.nspacl, acldefault('n', n.nspowner)) as acl into pub from pg_namespace n where n.nspname = 'public';
  if exists (select 1 from aclexplode(pub.acl) a where a.grantee = 0 and a.privilege_type = 'CREATE') then
    if not pg_has_role(pub.nspowner, 'USAGE') then
      raise warning 'lapse: its owner has to run: revoke create on schema public from public';
    else
      for keeper in select k.role from retention.working_roles() k loop
        execute format('grant create on schema public to %I', keeper);
      end loop;
      revoke create on schema public from public;
      insert into retention.taken_right (what) values ('create in schema public') on conflict do nothing;
    end if;
  end if;
end $$;
comment on function retention.take_rights() is 'Takes from PUBLIC the right to create objects; roles that own or use tables here keep it by name.';

create or replace function retention.working_roles() returns table (role name)
language sql stable security invoker set search_path = pg_catalog, pg_temp as $$
  select distinct r.rolname from pg_class c join pg_namespace n on n.oid = c.relnamespace
  cross join lateral (
    select c.relowner as id union all select a.grantee from aclexplode(c.relacl) a
  ) x join pg_roles r on r.oid = x.id
  where c.relkind in ('r', 'p', 'v', 'm', 'f') and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'retention')
    and not r.rolsuper and r.rolname not like 'pg\_%'
    and not exists (select from pg_roles own where own.rolname in ('lapse_app', 'lapse_operator', 'lapse_reader') and pg_has_role(r.oid, own.oid, 'MEMBER'))
$$;
comment on function retention.working_roles() is 'Roles that own or use a table of this database: all but superusers and those of Lapse.';

create or replace function retention.give_back_rights() returns void
language plpgsql volatile security invoker set search_path = pg_catalog, pg_temp as $$
begin
  if exists (select 1 from retention.taken_right where what = 'temporary on the database') then
    execute format('grant temporary on database %I to public', current_database());
  end if;
  if exists (select 1 from retention.taken_right where what = 'create in schema public') then
    grant create on schema public to public;
  end if;
  delete from retention.taken_right;
end $$;
comment on function retention.give_back_rights() is 'Gives PUBLIC back what take_rights took from it.';
