-- The audit chain: its entries, and how a run is sealed into it.

-- A value as length:value, so that no two different entries give the same text.
create or replace function retention.audit_field(value text) returns text
language sql immutable strict security invoker set search_path = pg_catalog, pg_temp as $$
  select octet_length(convert_to(value, 'UTF8')) || ':' || value || ','
$$;
comment on function retention.audit_field(text) is 'One field of what is hashed.';

create or replace function retention.audit_hash(e retention.audit_entry) returns text
language sql stable security invoker set search_path = pg_catalog, pg_temp as $$
  select encode(sha256(convert_to(
    retention.audit_field(e.n::text)
    || retention.audit_field(to_char(e.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
    || retention.audit_field(e.actor) || retention.audit_field(e.action) || retention.audit_field(e.subject)
    || retention.audit_field(e.reason) || retention.audit_field(e.detail::text) || retention.audit_field(e.prev),
    'UTF8')), 'hex')
$$;
comment on function retention.audit_hash(retention.audit_entry) is 'The hash of an entry: fixed order, UTC, whatever the session is set to.';

create or replace function retention.chain_event() returns trigger
language plpgsql volatile security invoker set search_path = pg_catalog, pg_temp as $$
declare
  head record;
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'lapse: the audit chain needs READ COMMITTED' using errcode = 'LP005';
  end if;
  -- In a statement of its own, before the head is read. Always the last lock of a transaction.
  perform pg_advisory_xact_lock(7003, 0);
  select n, hash into head from retention.audit_entry order by n desc limit 1;
  new.n := coalesce(head.n, 0) + 1;
  new.at := clock_timestamp();
  new.prev := coalesce(head.hash, repeat('0', 64));
  new.hash := retention.audit_hash(new);
  return new;
end $$;
comment on function retention.chain_event() is 'Gives an entry its place in the chain.';

-- How every function of this schema adds an entry, in the transaction of what it describes. No other code may.
create or replace function retention.record(who text, what text, about text, why text, more jsonb) returns setof retention.audit_entry
language sql volatile security invoker set search_path = pg_catalog, pg_temp as $$
  insert into retention.audit_entry (actor, action, subject, reason, detail)
    values (who, what, about, why, coalesce(more, '{}')) returning *
$$;
comment on function retention.record(text, text, text, text, jsonb) is 'Adds one entry to the chain and returns it.';

-- Services act under these names: an operator of such a name would be taken for one of them.
create or replace function retention.is_service(who text) returns boolean
language sql immutable security invoker set search_path = pg_catalog, pg_temp as $$
  select lower(who) = any(array['cron', 'manual', 'lapse', 'system', 'blob-outbox', 'blob-reconcile', 'erasures',
    'order-review-sla', 'backlog', 'run-watch', 'audit-seal', 'data-quality', 'own-records', 'notices'])
$$;
comment on function retention.is_service(text) is 'Whether this is the name of a service, which no operator may have.';

-- What an operator did: the same name stands in the entry and in what was changed.
create or replace function retention.record_operator(who text, what text, about text, why text, more jsonb) returns setof retention.audit_entry
language plpgsql volatile security invoker set search_path = pg_catalog, pg_temp as $$
begin
  if coalesce(who, '') = '' or retention.is_service(who) then
    raise exception 'lapse: "%" is not the name of an operator', who using errcode = '22023';
  end if;
  if coalesce(why, '') = '' then
    raise exception 'lapse: a reason is needed' using errcode = '22023';
  end if;
  perform retention.prove_operator(who);
  return query select * from retention.record(who, what, about, why, more);
end $$;
comment on function retention.record_operator(text, text, text, text, jsonb) is 'Adds the entry of an operator''s action; refuses the name of a service, and one that is not proven.';

-- Stopping is one person's to do, letting go again is not: a second one has to see why.
create or replace function retention.refuse_same(who text, before text) returns void
language plpgsql immutable security invoker set search_path = pg_catalog, pg_temp as $$
begin
  if lower(who) = lower(before) then
    raise exception 'lapse: another operator has to do this' using errcode = 'LP015';
  end if;
end $$;
comment on function retention.refuse_same(text, text) is 'Refuses an operator who would resume or approve what they stopped or asked for themselves.';

create or replace function retention.refuse_change() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  raise exception 'lapse: % is append-only', tg_table_name using errcode = 'LP009';
end $$;
comment on function retention.refuse_change() is 'Keeps even the owner from changing the chain by accident.';

-- Under the policy's exclusive lock, and after the run has lost the right to delete: nothing can be added.
create or replace function retention.seal_run(r uuid) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  it record;
  st record;
  d record;
begin
  select id, policy, policy_version, actor, outcome, finished_at, sealed_at, mode into it from retention.run where id = r;
  if not found or it.sealed_at is not null or it.finished_at is null or it.mode <> 'delete' then
    return false;
  end if;
  perform pg_advisory_xact_lock(7001, lock_id) from retention.policy_state where policy = it.policy;
  select run_now into st from retention.policy_state where policy = it.policy;
  if st.run_now is not distinct from r then
    return false;
  end if;
  select * into d from retention.run_digest(r);
  if d.receipts > 0 then
    insert into retention.audit_entry (actor, action, subject, reason, detail)
      values (it.actor, 'run.sealed', r::text, retention.run_reason(r), jsonb_build_object('policy', it.policy,
        'version', it.policy_version, 'outcome', it.outcome, 'receipts', d.receipts, 'last_seq', d.last_seq, 'gaps', d.gaps, 'deleted', d.deleted, 'digest', d.digest)
        -- The artifact policy's own line (G4) goes into the chain with its run.
        || coalesce((select jsonb_build_object(a.event, to_jsonb(a) - 'id' - 'run' - 'event' - 'at')
          from retention.audit_event a where a.run = r), '{}'));
  end if;
  update retention.run set sealed_at = clock_timestamp() where id = r;
  return d.receipts > 0;
end $$;
comment on function retention.seal_run(uuid) is 'Puts a finished run''s receipts into the chain; true when there were any.';
