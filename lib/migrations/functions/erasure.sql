-- Requests to erase a subject: asked for by a named operator, confirmed by a second one where they reach far. Each
-- step is written together with its entry in the audit chain, which names the subject by a hash only.

create or replace function retention.erasure_detail(e uuid) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select jsonb_build_object('scope', x.scope, 'rows', x.rows_found, 'requested_by', x.requested_by, 'subject_sha256',
    encode(sha256(convert_to(x.scope || ':' || x.subject, 'UTF8')), 'hex'))
  from retention.erasure x where x.id = e
$$;
comment on function retention.erasure_detail(uuid) is 'What an entry of the audit chain says of a request: whose data, as a hash, and how many rows.';

-- One month from the request (GDPR Art. 12(3)), and 30 days where the month is longer: never later than either.
create or replace function retention.erasure_due(asked timestamptz) returns timestamptz
language sql immutable security invoker set search_path = pg_catalog, pg_temp as $$
  select least(asked + interval '30 days', (asked at time zone 'UTC' + interval '1 month') at time zone 'UTC')
$$;
comment on function retention.erasure_due(timestamptz) is 'The last instant at which a request that was made then is answered in time.';

-- Asking twice is asking once: the request that is under way comes back, and `entry` is null.
create or replace function retention.request_erasure(whose text, id_of text, why text, who text, reached bigint, known jsonb default '{}')
returns jsonb language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  -- A person's own rows are a few hundred. More is an account that several share, a mistaken id, or a theft.
  most_alone constant bigint := 500;
  needs_second boolean := whose = 'organization' or reached is null or reached > most_alone;
  asked timestamptz := clock_timestamp();
  e uuid;
  wrote bigint;
begin
  insert into retention.erasure (scope, subject, reason, requested_by, requested_at, due_at, rows_found, identifiers, state)
    values (whose, id_of, why, who, asked, retention.erasure_due(asked), reached, coalesce(known, '{}'), case when needs_second then 'requested' else 'confirmed' end)
    on conflict (scope, subject) where state in ('requested', 'confirmed', 'open') do nothing
    returning id into e;
  if e is null then
    perform retention.prove_operator(who);
    select x.id into e from retention.erasure x
      where x.scope = whose and x.subject = id_of and x.state in ('requested', 'confirmed', 'open');
  else
    select n into wrote from retention.record_operator(who, 'erasure.requested', e::text, why,
      retention.erasure_detail(e) || jsonb_build_object('needs_second', needs_second));
  end if;
  return (select to_jsonb(x) || jsonb_build_object('entry', wrote) from retention.erasure x where x.id = e);
end $$;
comment on function retention.request_erasure(text, text, text, text, bigint, jsonb) is
  'Remembers a request to erase; an organization, or more rows than one person has, waits for a second operator.';

create or replace function retention.confirm_erasure(e uuid, why text, who text)
returns jsonb language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  it record;
  wrote bigint;
begin
  select state, requested_by into it from retention.erasure where id = e for update;
  if not found then return jsonb_build_object('refused', 'unknown'); end if;
  if it.state <> 'requested' then return jsonb_build_object('refused', it.state); end if;
  if it.requested_by = who then return jsonb_build_object('refused', 'own'); end if;
  update retention.erasure set state = 'confirmed', confirmed_by = who, confirmed_at = clock_timestamp() where id = e;
  select n into wrote from retention.record_operator(who, 'erasure.confirmed', e::text, why, retention.erasure_detail(e));
  return (select to_jsonb(x) || jsonb_build_object('entry', wrote) from retention.erasure x where x.id = e);
end $$;
comment on function retention.confirm_erasure(uuid, text, text) is
  'A second operator lets a request begin; `refused` says why not: unknown, own, or the state it is in.';

create or replace function retention.withdraw_erasure(e uuid, why text, who text)
returns jsonb language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  it record;
  wrote bigint;
begin
  select state into it from retention.erasure where id = e for update;
  if not found then return jsonb_build_object('refused', 'unknown'); end if;
  if it.state in ('done', 'withdrawn') then return jsonb_build_object('refused', it.state); end if;
  update retention.erasure set state = 'withdrawn', withdrawn_by = who, withdrawn_at = clock_timestamp() where id = e;
  select n into wrote from retention.record_operator(who, 'erasure.withdrawn', e::text, why,
    retention.erasure_detail(e) || jsonb_build_object('was', it.state));
  return (select to_jsonb(x) || jsonb_build_object('entry', wrote) from retention.erasure x where x.id = e);
end $$;
comment on function retention.withdraw_erasure(uuid, text, text) is
  'Takes a request back: what is not erased yet stays. `refused` says why not: unknown, or the state it is in.';

create or replace function retention.begin_erasure(e uuid, who text, known jsonb default null)
returns boolean language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  it record;
begin
  select state, reason into it from retention.erasure where id = e and state in ('confirmed', 'open') for update;
  if not found then return false; end if;
  update retention.erasure set state = 'open', tried_at = clock_timestamp(), identifiers = coalesce(known, identifiers) where id = e;
  if it.state = 'confirmed' then
    perform retention.record(who, 'erasure.begun', e::text, it.reason, retention.erasure_detail(e));
  end if;
  return true;
end $$;
comment on function retention.begin_erasure(uuid, text, jsonb) is
  'Begins or resumes a confirmed request, with the hashes of the subject''s identifiers as known now; false when it is not confirmed, done or withdrawn.';

-- Before anything of the run is done: its receipts count also when the call dies.
create or replace function retention.begin_erasure_step(e uuid, p text, of_table text, does text, r uuid)
returns void language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
  insert into retention.erasure_step as s (erasure, policy, table_name, action, outcome, reason, runs)
  select e, p, of_table, does, 'interrupted', 'lost', array[r]
  where exists (select 1 from retention.erasure x where x.id = e and x.state in ('open', 'withdrawn'))
  on conflict (erasure, policy) do update set table_name = excluded.table_name, action = excluded.action,
    outcome = excluded.outcome, reason = excluded.reason, runs = s.runs || excluded.runs
  where not s.runs @> excluded.runs
$$;
comment on function retention.begin_erasure_step(uuid, text, text, text, uuid) is
  'Notes the run of a step before it begins; until its end is recorded the step counts as interrupted.';

-- Counts come from the receipts of the step's runs: they are right also when a call died before it could tell.
create or replace function retention.record_erasure_steps(e uuid, steps jsonb)
returns void language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
  insert into retention.erasure_step as s (erasure, policy, table_name, action, outcome, reason, kept)
  select e, x.policy, x."table", x.action, x.outcome, x.reason, x.kept
  from jsonb_to_recordset(steps) x(policy text, "table" text, action text, outcome text, reason text, kept jsonb)
  where exists (select 1 from retention.erasure r where r.id = e and r.state in ('open', 'withdrawn'))
  on conflict (erasure, policy) do update set table_name = excluded.table_name, action = excluded.action,
    outcome = excluded.outcome, reason = excluded.reason, kept = excluded.kept,
    (deleted, dependants_deleted, files, bytes) = (
      select coalesce(sum(c.deleted), 0), coalesce(sum(c.dependants_deleted), 0), coalesce(sum(c.files), 0),
        least(coalesce(sum(c.bytes), 0), 9007199254740991)
      from retention.receipt c where c.run = any(s.runs))
$$;
comment on function retention.record_erasure_steps(uuid, jsonb) is
  'Notes how steps ended, with what the receipts of all their runs come to.';

-- How far the independent check is; a call continues where the one before had no more time.
create or replace function retention.note_erasure_check(e uuid, sofar jsonb)
returns void language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
  update retention.erasure set checked = sofar where id = e and state = 'open'
$$;
comment on function retention.note_erasure_check(uuid, jsonb) is 'Notes what the check of an erasure has looked at.';

-- `certificate`: what is certified, whose hash the entry binds; it names no person. Without a check that found nothing there is no end.
create or replace function retention.finish_erasure(e uuid, who text, certificate text)
returns boolean language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  why text;
begin
  select reason into why from retention.erasure where id = e and state = 'open' for update;
  if not found or exists (
    select 1 from retention.erasure_step s where s.erasure = e and (s.outcome not in ('succeeded', 'out_of_reach')
      or exists (select 1 from jsonb_each_text(s.kept) k where k.value::numeric > 0))
  ) or not exists (
    select 1 from retention.erasure x where x.id = e and x.checked -> 'next' = 'null' and x.checked -> 'entry' = 'null'
      and x.checked -> 'found' = '{}' and x.checked -> 'unread' = '[]'
      and x.checked -> 'filesFound' = '0' and x.checked -> 'filesOpen' = '0'
  ) then
    return false;
  end if;
  update retention.erasure x set state = 'done', finished_at = clock_timestamp(), certificate = finish_erasure.certificate,
    retained_until = (x.checked ->> 'until')::timestamptz where x.id = e;
  perform retention.record(who, 'erasure.done', e::text, why, retention.erasure_detail(e)
    || jsonb_build_object('certificate_sha256', encode(sha256(convert_to(certificate, 'UTF8')), 'hex')) || (
    select jsonb_build_object('deleted', coalesce(sum(s.deleted) filter (where s.action = 'delete'), 0),
      'masked', coalesce(sum(s.deleted) filter (where s.action <> 'delete'), 0), 'files', coalesce(sum(s.files), 0),
      'dependants_deleted', coalesce(sum(s.dependants_deleted), 0))
    from retention.erasure_step s where s.erasure = e));
  return true;
end $$;
comment on function retention.finish_erasure(uuid, text, text) is
  'Ends a request of which no step is unfinished, nothing is kept and the check found nothing; false when there still is something.';

-- Files in a subject's own folders, which no row names. The outbox asks once more, under locks, whether a row does.
create or replace function retention.queue_erasure_files(e uuid, folder text, files jsonb)
returns bigint language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  it record;
  queued bigint;
begin
  perform pg_advisory_xact_lock_shared(7001, 0);
  select scope, subject into it from retention.erasure x where x.id = e and x.state = 'open';
  if not found or (select stopped from retention.kill_switch) is distinct from false
    or exists (select 1 from retention.hold h where h.released_at is null and h.scope = it.scope and h.subject = it.subject) then
    return 0;
  end if;
  insert into retention.outbox (policy, table_name, row_key, url, bytes, prefix)
    select 'erasures', '(store)', e::text, f.path, f.bytes, folder from jsonb_to_recordset(files) f(path text, bytes bigint)
    where retention.blob_refusal(f.path, folder, '{}') is null
      and not exists (select 1 from retention.outbox o where o.path = retention.blob_path(f.path) and o.state in ('pending', 'deleting', 'held'));
  get diagnostics queued = row_count;
  if queued > 0 then
    perform retention.record('erasures', 'files.queued', e::text, 'files in the subject''s own folders', jsonb_build_object('files', queued));
  end if;
  return queued;
end $$;
comment on function retention.queue_erasure_files(uuid, text, jsonb) is
  'Hands files of a subject''s own folder to the outbox; none while a hold on the subject is in force or everything is stopped.';

-- After the incident was opened, so that one who dies between the two tells it again rather than never.
create or replace function retention.note_erasure_clock(e uuid, is_over boolean)
returns void language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
  update retention.erasure set warned_at = coalesce(warned_at, clock_timestamp()),
    overdue_at = case when is_over then coalesce(overdue_at, clock_timestamp()) else overdue_at end
  where id = e and state in ('requested', 'confirmed', 'open')
$$;
comment on function retention.note_erasure_clock(uuid, boolean) is
  'Notes that people were told of a request whose time is nearly over, or over.';

-- After the incident was opened, as above.
create or replace function retention.note_retained_end(e uuid)
returns void language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
  update retention.erasure set retained_told_at = clock_timestamp() where id = e and state = 'done'
$$;
comment on function retention.note_retained_end(uuid) is 'Notes that people were told that what a request retained has come to its end.';
