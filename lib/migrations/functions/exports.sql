-- A copy of everything that is held about one person or organization: asked for by a named operator, fetched by a link that
-- works once, deleted when its time is over. Each step with its entry of the audit chain, which names the subject by a hash only.

create or replace function retention.export_detail(e uuid) returns jsonb
language sql stable security invoker set search_path = pg_catalog, pg_temp as $$
  select jsonb_build_object('scope', x.scope, 'subject_sha256', encode(sha256(convert_to(x.scope || ':' || x.subject, 'UTF8')), 'hex'))
  from retention.export x where x.id = e
$$;
comment on function retention.export_detail(uuid) is 'What an entry of the audit chain says of an export: whose data, as a hash.';

-- Asking twice is asking once: the one that is being written comes back.
create or replace function retention.request_export(whose text, id_of text, why text, who text, keep_seconds double precision)
returns jsonb language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  e uuid;
begin
  insert into retention.export (scope, subject, reason, requested_by, expires_at)
    values (whose, id_of, why, who, retention.clock() + make_interval(secs => keep_seconds))
    on conflict (scope, subject) where state = 'requested' do nothing returning id into e;
  if e is null then
    perform retention.prove_operator(who);
    select x.id into e from retention.export x where x.scope = whose and x.subject = id_of and x.state = 'requested';
  else
    perform retention.record_operator(who, 'export.requested', e::text, why, retention.export_detail(e));
  end if;
  return (select to_jsonb(x) from retention.export x where x.id = e);
end $$;
comment on function retention.request_export(text, text, text, text, double precision) is
  'Remembers that an operator asked for a copy of everything that is held about a subject.';

create or replace function retention.write_export(e uuid, at_prefix text, manifest text, total_rows bigint, total_files bigint, total_bytes bigint,
  keep_seconds double precision)
returns boolean language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  -- From now on it can be fetched for as long as it was meant to be.
  update retention.export set state = 'written', prefix = at_prefix, manifest_sha256 = manifest, row_count = total_rows,
    file_count = total_files, byte_count = total_bytes, written_at = retention.clock(),
    expires_at = retention.clock() + make_interval(secs => keep_seconds)
  where id = e and state = 'requested';
  if not found then return false; end if;
  perform retention.record('erasures', 'export.written', e::text, 'complete', retention.export_detail(e)
    || jsonb_build_object('rows', total_rows, 'files', total_files, 'bytes', total_bytes, 'manifest_sha256', manifest));
  return true;
end $$;
comment on function retention.write_export(uuid, text, text, bigint, bigint, bigint, double precision) is
  'Notes that an export is complete; false when it was taken back meanwhile.';

-- A new link for one that is complete, e.g. when the first was lost on its way.
create or replace function retention.link_export(who text, why text, e uuid) returns setof retention.audit_entry
language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
  select r.* from retention.export x
  cross join lateral retention.record_operator(who, 'export.linked', x.id::text, why, retention.export_detail(x.id)) r
  where x.id = e and x.state = 'written' and x.expires_at > retention.clock()
$$;
comment on function retention.link_export(text, text, uuid) is 'The entry of a link that an operator makes; nothing where there is nothing to fetch.';

create or replace function retention.withdraw_export(who text, why text, e uuid) returns setof retention.audit_entry
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  update retention.export set state = 'withdrawn', expires_at = least(expires_at, retention.clock())
    where id = e and state in ('requested', 'written');
  if found then
    return query select * from retention.record_operator(who, 'export.withdrawn', e::text, why, retention.export_detail(e));
  end if;
end $$;
comment on function retention.withdraw_export(text, text, uuid) is 'Takes an export back: no link fetches it any more, and it is deleted.';

-- Null: it may be sent now, once. The link itself was signed, and is used here.
create or replace function retention.fetch_export(link uuid, until timestamptz, e uuid) returns text
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  refused text;
begin
  perform from retention.export where id = e and state = 'written' and expires_at > retention.clock() for share;
  if not found then return 'expired'; end if;
  refused := retention.use_link(link, 'export.download', until);
  if refused is null then
    perform retention.record('lapse', 'export.fetched', e::text, 'by its link', retention.export_detail(e) || jsonb_build_object('link', link));
  end if;
  return refused;
end $$;
comment on function retention.fetch_export(uuid, timestamptz, uuid) is 'Uses the link of an export: null, or why nothing is sent (used, expired).';

-- After everything of it was deleted in the store.
create or replace function retention.end_export(e uuid) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
  update retention.export set state = 'gone', gone_at = retention.clock(), expires_at = least(expires_at, retention.clock())
    where id = e and state in ('requested', 'written', 'withdrawn');
  if not found then return false; end if;
  perform retention.record('erasures', 'export.gone', e::text, 'its time is over, or the subject was erased', retention.export_detail(e));
  return true;
end $$;
comment on function retention.end_export(uuid) is 'Notes that nothing of an export is left in the store.';
