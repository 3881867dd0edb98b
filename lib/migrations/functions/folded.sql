-- What people are known by, such as an address, is compared in one form, however it was typed.

-- In small letters of any script, put together (NFC), without blanks around it. By the rules of no language and of no
-- database, so that what is kept of it as a hash is found again in another one.
create or replace function retention.folded(given text) returns text
language plpgsql immutable strict parallel safe security invoker set search_path = pg_catalog, pg_temp as $$
begin
  if octet_length(given) = length(given) or getdatabaseencoding() <> 'UTF8'
    or not exists (select 1 from pg_collation where collname = 'und-x-icu' and collnamespace = 'pg_catalog'::regnamespace) then
    return lower(btrim(given) collate "C");
  end if;
  return normalize(lower(normalize(btrim(given), NFC) collate "und-x-icu"), NFC);
end $$;
comment on function retention.folded(text) is
  'An address as it is compared: in small letters, in one form, without blanks around it. Without ICU in PostgreSQL: the letters A to Z only.';
