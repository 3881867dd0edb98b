-- Names of files, claims of outbox entries, and the guard of tables that use paths again.

-- One name for a file, however a row writes it: the pathname of its URL.
create or replace function retention.blob_url_decoded(url text) returns text
language sql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
  select case when strpos(p.path, '%') = 0 then p.path
    else (
      select convert_from(decode(string_agg(
        case when c.m[1] ~ '^%' then substr(c.m[1], 2) else encode(convert_to(c.m[1], 'UTF8'), 'hex') end, '' order by c.n), 'hex'), 'UTF8')
      from regexp_matches(p.path, '%[0-9a-fA-F]{2}|.', 'g') with ordinality c(m, n)
    )
  end
  from (select ltrim(regexp_replace(split_part(url, '?', 1), '^[a-zA-Z]+://[^/]+', ''), '/') as path) p
$$;
comment on function retention.blob_url_decoded(text) is 'Pathname of a blob, from its URL.';

-- Without a search_path of its own, so that it is inlined: it is evaluated once a file, by the deleting statement.
create or replace function retention.blob_path(url text) returns text
language sql immutable parallel safe as $$
  select case when url ~ '^[a-zA-Z]+://' then retention.blob_url_decoded(url) else pg_catalog.ltrim(url, '/') end
$$;
comment on function retention.blob_path(text) is 'Pathname of a blob, from its URL or pathname.';

create or replace function retention.blob_url_path(path text) returns text
language sql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
  select case when path !~ '[^A-Za-z0-9_.!~*''()/-]' then path
    else (
      select string_agg(case when c.m[1] ~ '[A-Za-z0-9_.!~*''()/-]' then c.m[1]
        else upper(regexp_replace(encode(convert_to(c.m[1], 'UTF8'), 'hex'), '(..)', '%\1', 'g')) end, '' order by c.n)
      from regexp_matches(path, '.', 'g') with ordinality c(m, n)
    )
  end
$$;
comment on function retention.blob_url_path(text) is 'A pathname as it stands in the URL of its blob.';

-- First half of a claim: takes (7002, path) for up to n paths that are due, and leaves them in `lapse.files`.
-- The judgement follows in a statement of its own, which sees every row committed before the locks (DELETION §11).
-- Tried, not waited for: two drains never deadlock, and a path an application transaction is about to use is busy.
create or replace function retention.lock_files(n int, at timestamptz) returns int
language plpgsql volatile security invoker set search_path = pg_catalog, pg_temp as $$
declare
  paths text[];
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'lapse: a claim needs READ COMMITTED' using errcode = 'LP005';
  end if;
  select coalesce(array_agg(d.path), '{}') into paths from (
    select distinct due.path from (
      select path from retention.outbox
      where state in ('pending', 'deleting') and next_attempt_at <= at
      order by next_attempt_at, id limit n for update skip locked
    ) due
  ) d where pg_try_advisory_xact_lock(hashtextextended(d.path, 7002));
  perform set_config('lapse.files', paths::text, true);
  return cardinality(paths);
end $$;
comment on function retention.lock_files(int, timestamptz) is
  'Locks the paths of up to n due outbox entries for this transaction; the next statement may judge them.';

-- Waits for a claim of the path that is under way, then says whether its file is being deleted, or was within the
-- last day: whoever uploaded it before the deletion and names it after would name nothing.
create or replace function retention.is_being_deleted(path text) returns boolean
language plpgsql volatile security invoker set search_path = pg_catalog, pg_temp as $$
begin
  perform pg_advisory_xact_lock_shared(hashtextextended(is_being_deleted.path, 7002));
  return exists (
    select 1 from retention.outbox o where o.path = is_being_deleted.path
      and (o.state = 'deleting' or (o.state = 'deleted' and o.updated_at > clock_timestamp() - interval '1 day'))
  );
end $$;
comment on function retention.is_being_deleted(text) is 'Whether a file may not be named now, because it is being deleted or just was.';

-- For tables that write to the same paths again. With its owner's rights, because whoever writes these tables has
-- none in this schema. So it runs nothing of the table's: `format` writes a value with the output function of its
-- type, which only a superuser can define; a cast, which to_jsonb would call, anyone can. The right to make a
-- trigger with it is nobody's but the owner's.
create or replace function retention.guard_file_reference() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  named text;
  before text;
  col text;
begin
  foreach col in array tg_argv loop
    execute format('select format(''%%s'', ($1).%I)', col) into named using new;
    continue when named = '';
    if tg_op = 'UPDATE' then
      execute format('select format(''%%s'', ($1).%I)', col) into before using old;
      continue when named = before;
    end if;
    if retention.is_being_deleted(retention.blob_path(named)) then
      raise exception 'lapse: the file named by %.%.% is being deleted; upload it under another name',
        tg_table_schema, tg_table_name, col using errcode = 'LP008';
    end if;
  end loop;
  return new;
end $$;
comment on function retention.guard_file_reference() is
  'Row trigger BEFORE INSERT OR UPDATE, arguments: the columns that name files. Refuses a file that is being deleted.';
