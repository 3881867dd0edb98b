-- The ledger of finished erasures lies outside the database (lib/rights/ledger), so that a restore cannot take it back.
-- What comes from there is a claim: the database takes up only what it can prove to have been let begin by people.

-- HMAC-like over fields that are told apart by their length; with a key of fixed length both times (RFC 2104's purpose).
create or replace function retention.ledger_hash(e uuid, whose text, id_of text, who text, known jsonb) returns text
language sql stable security invoker set search_path = pg_catalog, pg_temp as $$
  select encode(sha256(secret || sha256(secret || convert_to(retention.audit_field(e::text) || retention.audit_field(whose)
    || retention.audit_field(id_of) || retention.audit_field(who) || retention.audit_field(known::text), 'UTF8'))), 'hex')
  from retention.ledger_secret
$$;
comment on function retention.ledger_hash(uuid, text, text, text, jsonb) is 'What only this database, and its restored copies, can say of a request.';

create or replace function retention.prove_erasure(e uuid) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select retention.ledger_hash(x.id, x.scope, x.subject, x.requested_by, x.identifiers) from retention.erasure x
  where x.id = e and x.state in ('open', 'done')
$$;
comment on function retention.prove_erasure(uuid) is 'The proof of a request that was let begin, for its entry of the ledger; null of any other.';

create or replace function retention.note_ledger(e uuid, called text) returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
  update retention.erasure set ledger = called where id = e and state in ('open', 'done')
$$;
comment on function retention.note_ledger(uuid, text) is 'Notes under which name a request stands in the ledger.';

create or replace function retention.begin_replay(why text) returns uuid
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  r uuid;
begin
  insert into retention.replay (because) values (why) on conflict ((true)) where ended_at is null do nothing returning id into r;
  return coalesce(r, (select id from retention.replay where ended_at is null));
end $$;
comment on function retention.begin_replay(text) is 'Begins to hold the ledger against the database, or continues.';

-- `entries`: id, scope, subject, reason, requested_by, identifiers, proof, ledger (its name). A request that is here and waits for a
-- second operator was confirmed in the lost time; one that was taken back stays so.
create or replace function retention.adopt_erasures(r uuid, entries jsonb) returns jsonb
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  x record;
  was text;
  asked timestamptz := clock_timestamp();
  taken bigint := 0;
  settled uuid[] := '{}';
  strange uuid[] := '{}';
begin
  perform from retention.replay where id = r and ended_at is null for update;
  if not found then
    raise exception 'lapse: no replay is under way' using errcode = '22023';
  end if;
  for x in select * from jsonb_to_recordset(entries)
      t(id uuid, scope text, subject text, reason text, requested_by text, identifiers jsonb, proof text, ledger text) order by t.id loop
    if x.proof is distinct from retention.ledger_hash(x.id, x.scope, x.subject, x.requested_by, x.identifiers) then
      -- A person has seen to it since.
      if exists (select 1 from retention.erasure e where e.scope = x.scope and e.subject = x.subject and e.state = 'done') then
        settled := settled || x.id;
      else
        strange := strange || x.id;
      end if;
      continue;
    end if;
    select state into was from retention.erasure where id = x.id for update;
    if not found then
      insert into retention.erasure (id, scope, subject, reason, requested_by, identifiers, requested_at, due_at, state, ledger, replay)
        values (x.id, x.scope, x.subject, x.reason, x.requested_by, x.identifiers, asked, retention.erasure_due(asked), 'confirmed', x.ledger, r)
        on conflict do nothing;
      if not found then
        -- Somebody asked for the same subject since: that request is carried out first, and this one at a later look.
        update retention.erasure e set replay = r where e.scope = x.scope and e.subject = x.subject
          and e.state in ('requested', 'confirmed', 'open') and e.replay is null;
        continue;
      end if;
      perform retention.record('erasures', 'erasure.requested', x.id::text, x.reason,
        retention.erasure_detail(x.id) || jsonb_build_object('needs_second', false, 'replay', r));
    elsif was = 'requested' then
      update retention.erasure set state = 'confirmed', confirmed_by = 'erasures', confirmed_at = asked, ledger = x.ledger, replay = r
        where id = x.id;
      perform retention.record('erasures', 'erasure.confirmed', x.id::text, x.reason,
        retention.erasure_detail(x.id) || jsonb_build_object('replay', r));
    else
      continue;
    end if;
    taken := taken + 1;
  end loop;
  update retention.replay p set adopted = p.adopted + taken,
    unproven = p.unproven + cardinality(strange) where p.id = r;
  return jsonb_build_object('adopted', taken, 'unproven', to_jsonb(strange), 'settled', to_jsonb(settled));
end $$;
comment on function retention.adopt_erasures(uuid, jsonb) is
  'Takes up again what the ledger has as done and this database does not, each with its entry of the chain; nothing without this database''s own proof.';

create or replace function retention.note_replay_walked(r uuid, looked_at bigint, unread bigint) returns void
language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
  update retention.replay set walked_at = clock_timestamp(), checked = looked_at, unreadable = unread where id = r and ended_at is null
$$;
comment on function retention.note_replay_walked(uuid, bigint, bigint) is 'Notes that every entry of the ledger has been looked at.';

create or replace function retention.end_replay() returns jsonb
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  p retention.replay;
begin
  select * into p from retention.replay where ended_at is null and walked_at is not null for update;
  if not found or exists (select 1 from retention.erasure e where e.replay = p.id and e.state in ('requested', 'confirmed', 'open')) then
    return null;
  end if;
  update retention.replay set ended_at = clock_timestamp() where id = p.id returning * into p;
  perform retention.record('erasures', 'erasures.replayed', p.id::text,
    case p.because when 'restored' then 'the database is older than the ledger of erasures' else 'asked for' end,
    jsonb_build_object('checked', p.checked, 'adopted', p.adopted, 'unproven', p.unproven, 'unreadable', p.unreadable,
      'deleted', (select coalesce(sum(s.deleted + s.dependants_deleted), 0) from retention.erasure e
        join retention.erasure_step s on s.erasure = e.id where e.replay = p.id)));
  return to_jsonb(p);
end $$;
comment on function retention.end_replay() is 'Ends the replay of which nothing is under way any more, with its entry of the chain; null when there is none.';
