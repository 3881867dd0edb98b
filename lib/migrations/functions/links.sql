-- What the recipient of a signed link does. The app has checked the signature; that a link works once, and not after its
-- time, is decided here, by the database's own clock and in the transaction of the act.

-- Null: it may be done now, once. Of two that come together the second waits for the first.
create or replace function retention.use_link(link uuid, its_purpose text, until timestamptz) returns text
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  if until is null or until <= retention.clock() then
    return 'expired';
  end if;
  insert into retention.link_use (id, purpose, expires_at) values (link, its_purpose, until) on conflict (id) do nothing;
  return case when found then null else 'used' end;
end $$;
comment on function retention.use_link(uuid, text, timestamptz) is 'Uses a signed link: null, or why it does nothing (used, expired).';
