-- Names of files: one canonical form, by which a file is judged, locked and deleted, however a row writes it.
-- What `blob_path` returns stands in indexes of business tables: a change of it needs them rebuilt (REINDEX).

-- Escapes of a URL undone, where all of it is UTF-8 without a NUL; otherwise as it stands. Never raises.
create or replace function retention.blob_unescaped(path text) returns text
language plpgsql immutable strict parallel safe security invoker set search_path = pg_catalog, pg_temp as $$
declare
  hex text;
begin
  if path !~ '%[0-9a-fA-F]{2}' or getdatabaseencoding() <> 'UTF8' then
    return path;
  end if;
  select lower(string_agg(case when p.m[1] ~ '^%.' then substr(p.m[1], 2) else encode(convert_to(p.m[1], 'UTF8'), 'hex') end, '' order by p.n))
    into hex from regexp_matches(path, '%[0-9a-fA-F]{2}|[^%]+|%', 'g') with ordinality p(m, n);
  if hex !~ ('^(?:0[1-9a-f]|[1-7][0-9a-f]|(?:c[2-9a-f]|d[0-9a-f])[89ab][0-9a-f]|e0[ab][0-9a-f][89ab][0-9a-f]'
    || '|e[1-9abcef](?:[89ab][0-9a-f]){2}|ed[89][0-9a-f][89ab][0-9a-f]|f0[9ab][0-9a-f](?:[89ab][0-9a-f]){2}'
    || '|f[1-3](?:[89ab][0-9a-f]){3}|f48[0-9a-f](?:[89ab][0-9a-f]){2})*$') then
    return path;
  end if;
  return convert_from(decode(hex, 'hex'), 'UTF8');
end $$;
comment on function retention.blob_unescaped(text) is 'Percent escapes undone; unchanged where the result is no text.';

-- The rare forms of blob_path: URLs, and pathnames with anything unusual in them. Reads as generously as a URL is
-- read anywhere, whatever its host, so that a row that means the file is never overlooked. Never raises.
create or replace function retention.blob_path_of(url text) returns text
language plpgsql immutable strict parallel safe security invoker set search_path = pg_catalog, pg_temp as $$
declare
  -- Longer than any name and its address: not read, only told apart from others.
  most_read constant int := 10000;
  -- A row of a btree index holds 2.7 kB.
  most_kept constant int := 2000;
  p text := url;
  part text;
  parts text[] := '{}';
begin
  if octet_length(url) <= most_read then
    p := translate(btrim(url, E' \t\n\r\f\x0b'), E'\t\n\r', '');
    p := regexp_replace(p, '^[a-zA-Z][a-zA-Z0-9+.-]*:[/\\]{2,}[^/\\?#]*', '');
    p := translate(regexp_replace(p, '[?#].*$', ''), '\', '/');
    if p ~* '(^|/)(\.|%2e){1,2}(/|$)' then
      foreach part in array string_to_array(regexp_replace(p, '^/', ''), '/') loop
        if part ~* '^(\.|%2e){2}$' then
          parts := parts[1:cardinality(parts) - 1];
        elsif part !~* '^(\.|%2e)$' then
          parts := parts || part;
        end if;
      end loop;
      p := array_to_string(parts, '/');
    end if;
    p := ltrim(retention.blob_unescaped(p), '/');
  end if;
  return case when octet_length(p) > most_kept then 'sha256:' || encode(sha256(convert_to(p, 'UTF8')), 'hex') else p end;
end $$;
comment on function retention.blob_path_of(text) is 'blob_path of a name that is not a plain pathname.';

-- True for a name that means the same file to everyone: nothing in it that a URL would read another way.
create or replace function retention.is_plain_path(path text) returns boolean
language sql immutable parallel safe
return path !~ '[?#\\\u0001-\u001f\u007f-\u009f]|%[0-9a-fA-F]{2}|^[ /]|[ /]$|//|(^|/)\.{1,2}(/|$)|^[a-zA-Z][a-zA-Z0-9+.-]*:'
  and octet_length(path) <= 2000;
comment on function retention.is_plain_path(text) is 'Whether a pathname means the same file to everyone who reads it.';

-- Inlined where it can be: it is evaluated for each file by the deleting statement, and by indexes of business tables,
-- whose writers have no right in this schema: so it and what it calls may be called by PUBLIC (grants.sql).
create or replace function retention.blob_path(url text) returns text
language sql immutable parallel safe
return case when retention.is_plain_path(url) then url else retention.blob_path_of(url) end;
comment on function retention.blob_path(text) is 'The canonical pathname of a file, from its URL or pathname: equal for all ways to write it. Empty where it names none.';

-- May the file behind this name be deleted? Null, or why not. Strict where blob_path is generous: the name must be one
-- that has one reading only, at one of the store's own hosts, below its column's folder.
create or replace function retention.blob_refusal(url text, prefix text, hosts text[]) returns text
language plpgsql immutable parallel safe security invoker set search_path = pg_catalog, pg_temp as $$
declare
  p text := regexp_replace(url, '^/', '');
begin
  if url ~* '^https?://' then
    if (lower(substring(url from '^[a-zA-Z]+://([^/?#\\]*)') collate "C") = any(hosts)) is not true then
      return 'name.foreign';
    end if;
    p := substring(url from '^[a-zA-Z]+://[^/?#\\]*/([^?#]*)');
    if strpos(url, '#') > 0 or p ~ '%(?![0-9a-fA-F]{2})' then
      return 'name.unreadable';
    end if;
    p := retention.blob_unescaped(p);
  end if;
  -- As many characters as the store takes.
  if coalesce(p, '') = '' or not retention.is_plain_path(p) or length(p) > 950 or p <> retention.blob_path(url) then
    return 'name.unreadable';
  end if;
  return case when not starts_with(p, prefix) then 'name.outside' end;
end $$;
comment on function retention.blob_refusal(text, text, text[]) is
  'Why a file may not be deleted by this name: name.foreign, name.unreadable or name.outside its prefix. Null when it may.';
