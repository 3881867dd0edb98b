-- Guard rails: poisoned rows, versions of policies and their cooling-off, labels and overrides that were in
-- force, approvals, the rollout's steps, and the audit chain. What decides about a row is read under the same
-- advisory locks as before; what is remembered here can only keep a row longer.

-- Up Migration

alter table retention.dead_letter add column run uuid;
comment on column retention.dead_letter.run is 'The run that last tried it.';
create index dead_letter_policy on retention.dead_letter (policy, state, next_attempt_at);
-- Also discarded letters are looked up by row, for as long as the row is there.
create index dead_letter_row on retention.dead_letter (table_name, row_key) where state <> 'resolved';

-- Tries each row in a block of its own and undoes it: says who refuses, deletes nothing (DELETION §6). Without a
-- search_path of its own: the table's triggers must find what they find in the batch.
create function retention.try_each(places tid[], attempt text, as_of timestamptz)
returns table (place tid, sql_state text, constraint_name text)
language plpgsql volatile security invoker as $$
begin
  foreach place in array places loop
    begin
      execute attempt using place, as_of;
      raise exception 'lapse: undone' using errcode = 'LP100';
    exception
      when sqlstate 'LP100' then null;
      when others then
        get stacked diagnostics sql_state = returned_sqlstate, constraint_name = constraint_name;
        -- A lock or a shortage is nobody's fault: the whole request may be asked again.
        if sql_state ~ '^(40|53|55P|57|58|08|XX|LP)' then raise; end if;
        constraint_name := nullif(constraint_name, '');
        return next;
    end;
  end loop;
end $$;
comment on function retention.try_each(tid[], text, timestamptz) is
  'Which of these rows refuse an attempt, and why; each attempt is undone, nothing is changed.';

create function retention.resolve_letters() returns trigger
language plpgsql security invoker set search_path = pg_catalog, pg_temp as $$
begin
  if exists (select 1 from retention.dead_letter where table_name = new.table_name and state = 'open') then
    update retention.dead_letter set state = 'resolved', resolution = 'gone with run ' || new.run
      where table_name = new.table_name and state = 'open' and row_key = any(new.keys);
  end if;
  return null;
end $$;
comment on function retention.resolve_letters() is 'A dead letter is resolved by the receipt that names its row.';
create trigger lapse_letters after insert on retention.receipt
  for each row execute function retention.resolve_letters();

-- Versions of a policy, who declared them and when: the longest period of those in force within the
-- cooling-off is the one that counts (G6).
create table retention.policy_version (
  policy        text not null,
  version       text not null,
  reach         text not null,
  periods       jsonb not null,
  declared_by   text not null,
  declared_at   timestamptz not null,
  superseded_at timestamptz,
  clean_runs    int not null default 0 check (clean_runs >= 0),
  created_at    timestamptz not null default now(),
  updated_at    timestamptz not null default now(),
  primary key (policy, version)
);
create unique index policy_version_current on retention.policy_version (policy) where superseded_at is null;
comment on table retention.policy_version is 'Each declaration a run has used: its periods, who brought it and when, and until when it was in force.';
comment on column retention.policy_version.policy is 'The policy.';
comment on column retention.policy_version.version is 'Fingerprint of the declaration.';
comment on column retention.policy_version.reach is 'Fingerprint of all that decides which rows, apart from the periods: table, clock, predicate, labels, dependants, files.';
comment on column retention.policy_version.periods is 'Seconds to keep by rule label; null keeps forever.';
comment on column retention.policy_version.declared_by is 'Who or what brought it: the deployed release and the actor of its first run.';
comment on column retention.policy_version.declared_at is 'When a run first used it.';
comment on column retention.policy_version.superseded_at is 'When another version took its place; null for the one in force.';
comment on column retention.policy_version.clean_runs is 'Clean runs that deleted something: the steps of the rollout it has passed.';
comment on column retention.policy_version.created_at is 'When the row was written.';
comment on column retention.policy_version.updated_at is 'When the row last changed.';

create table retention.tenant_label (
  policy     text not null,
  tenant     text not null,
  label      text not null,
  seen_at    timestamptz not null,
  ended_at   timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (policy, tenant, label)
);
create unique index tenant_label_current on retention.tenant_label (policy, tenant) where ended_at is null;
comment on table retention.tenant_label is 'Which rule each organization was seen under: a downgrade counts only after the cooling-off.';
comment on column retention.tenant_label.policy is 'The policy.';
comment on column retention.tenant_label.tenant is 'Id of the organization as text.';
comment on column retention.tenant_label.label is 'The rule''s label; empty when it had none.';
comment on column retention.tenant_label.seen_at is 'When it was first seen under it.';
comment on column retention.tenant_label.ended_at is 'When it was first seen under another; null for the last one seen.';
comment on column retention.tenant_label.created_at is 'When the row was written.';
comment on column retention.tenant_label.updated_at is 'When the row last changed.';

create table retention.past_override (
  id           bigint generated always as identity primary key,
  policy       text not null,
  tenant       text not null,
  keep_seconds bigint,
  set_by       text not null,
  ended_at     timestamptz not null,
  created_at   timestamptz not null default now()
);
create index past_override_tenant on retention.past_override (policy, tenant, ended_at);
comment on table retention.past_override is 'Overrides that were changed or removed: each still counts until the cooling-off is over.';
comment on column retention.past_override.id is 'Order of writing.';
comment on column retention.past_override.policy is 'The policy.';
comment on column retention.past_override.tenant is 'Id of the organization as text.';
comment on column retention.past_override.keep_seconds is 'How long it kept; null forever.';
comment on column retention.past_override.set_by is 'Who had set it.';
comment on column retention.past_override.ended_at is 'Until when it was in force.';
comment on column retention.past_override.created_at is 'When the row was written.';

create function retention.remember_override() returns trigger
language plpgsql security invoker set search_path = pg_catalog, pg_temp as $$
begin
  if tg_op = 'DELETE' or old.keep_seconds is distinct from new.keep_seconds
    or old.policy <> new.policy or old.tenant <> new.tenant then
    insert into retention.past_override (policy, tenant, keep_seconds, set_by, ended_at)
      values (old.policy, old.tenant, old.keep_seconds, old.set_by, clock_timestamp());
  end if;
  return null;
end $$;
comment on function retention.remember_override() is 'Keeps what an override was when it is changed or removed.';
create trigger lapse_remember after update or delete on retention.period_override
  for each row execute function retention.remember_override();

create table retention.approval (
  id          uuid primary key default gen_random_uuid(),
  policy      text not null references retention.policy_state (policy),
  version     text not null,
  preview     uuid not null references retention.run (id),
  digest      text not null check (digest ~ '^[0-9a-f]{64}$'),
  as_of       timestamptz not null,
  expired     bigint not null check (expired >= 0),
  facts       jsonb not null,
  expires_at  timestamptz not null,
  approved_by text not null check (approved_by <> ''),
  reason      text not null check (reason <> ''),
  approved_at timestamptz not null,
  used_at     timestamptz,
  used_by     uuid references retention.run (id),
  done_at     timestamptz,
  voided_at   timestamptz,
  void_reason text,
  created_at  timestamptz not null default now(),
  updated_at  timestamptz not null default now(),
  check ((used_at is null) = (used_by is null)),
  check ((voided_at is null) = (void_reason is null))
);
create unique index approval_digest on retention.approval (digest);
create index approval_open on retention.approval (policy, approved_at) where done_at is null and voided_at is null;
create index approval_preview on retention.approval (preview);
create index approval_used_by on retention.approval (used_by);
comment on table retention.approval is 'A person''s word that exactly what a preview showed may go: these rows, at this cutoff, under this version, once.';
comment on column retention.approval.id is 'Identifies the approval.';
comment on column retention.approval.policy is 'The policy.';
comment on column retention.approval.version is 'Fingerprint of the declaration that was previewed.';
comment on column retention.approval.preview is 'The dry run that was looked at.';
comment on column retention.approval.digest is 'SHA-256 over policy, version, cutoff, exact counts and expiry; each can be approved once.';
comment on column retention.approval.as_of is 'The instant retention is counted back from: the approved run keeps it.';
comment on column retention.approval.expired is 'Rows that may go: no more than these.';
comment on column retention.approval.facts is 'What the digest was made of.';
comment on column retention.approval.expires_at is 'Not begun after then.';
comment on column retention.approval.approved_by is 'Who approved.';
comment on column retention.approval.reason is 'Why.';
comment on column retention.approval.approved_at is 'When.';
comment on column retention.approval.used_at is 'When a run began to use it.';
comment on column retention.approval.used_by is 'The first run that used it; later ones resume its pass.';
comment on column retention.approval.done_at is 'When its pass was drained.';
comment on column retention.approval.voided_at is 'When it was found not to fit any more, or was withdrawn.';
comment on column retention.approval.void_reason is 'Why it does not count.';
comment on column retention.approval.created_at is 'When the row was written.';
comment on column retention.approval.updated_at is 'When the row last changed.';

alter table retention.run add column approval uuid references retention.approval (id);
comment on column retention.run.approval is 'The approval this run worked under; null for an ordinary run.';
create index run_approval on retention.run (approval);

create trigger lapse_touch before update on retention.policy_version for each row execute function retention.touch();
create trigger lapse_touch before update on retention.tenant_label for each row execute function retention.touch();
create trigger lapse_touch before update on retention.approval for each row execute function retention.touch();

-- The longest period by label over this declaration and every version in force within the cooling-off. A
-- declaration that reaches other rows cannot be compared by periods: it waits until the others have cooled off.
create function retention.effective_periods(
  p text, r text, declared jsonb, at timestamptz, cooling interval, out periods jsonb, out waits_until timestamptz
) language sql stable security invoker set search_path = pg_catalog, pg_temp as $$
  with others as (
    select * from retention.policy_version v
    where v.policy = p and coalesce(v.superseded_at, at) > at - cooling
  )
  select
    coalesce((
      select jsonb_object_agg(d.key, (
        select case when bool_or(x.seconds is null) then null else max(x.seconds) end
        from (
          select (d.value #>> '{}')::bigint as seconds
          union all select (o.periods ->> d.key)::bigint from others o where o.reach = r and o.periods ? d.key
        ) x))
      from jsonb_each(declared) d
    ), '{}'),
    (select max(coalesce(o.superseded_at, at)) + cooling from others o where o.reach <> r)
$$;
comment on function retention.effective_periods(text, text, jsonb, timestamptz, interval) is
  'Periods that count now, and until when a declaration with another reach has to wait.';

-- Within begin_run's transaction, which holds the policy's lock exclusively.
create function retention.declare_version(p text, v text, r text, declared jsonb, who text, at timestamptz) returns void
language plpgsql volatile security invoker set search_path = pg_catalog, pg_temp as $$
begin
  -- A clock set back must not make an older version look cooled off.
  at := greatest(at, (select max(greatest(declared_at, superseded_at)) from retention.policy_version where policy = p));
  update retention.policy_version set superseded_at = at where policy = p and version <> v and superseded_at is null;
  insert into retention.policy_version (policy, version, reach, periods, declared_by, declared_at)
    values (p, v, r, declared, who, at)
    on conflict (policy, version) do update set superseded_at = null
      where policy_version.superseded_at is not null;
end $$;
comment on function retention.declare_version(text, text, text, jsonb, text, timestamptz) is
  'Makes this version the one in force and ends the one before it.';

-- The audit chain: what operators did and what each run deleted, one entry after the other (G4). Each entry's
-- hash covers the one before it, so an edited, removed or reordered entry shows; a cut-off tail shows against a
-- head kept elsewhere. `n`, `at`, `prev` and `hash` are given here, never by the writer.
create table retention.audit_entry (
  n       bigint primary key,
  at      timestamptz not null,
  actor   text not null check (actor <> ''),
  action  text not null check (action ~ '^[a-z_]+\.[a-z_]+$'),
  subject text not null check (subject <> ''),
  reason  text not null default '',
  detail  jsonb not null default '{}',
  prev    text not null unique,
  hash    text not null unique
);
create index audit_entry_subject on retention.audit_entry (subject, n);
create index audit_entry_at on retention.audit_entry (at);
create unique index audit_entry_run on retention.audit_entry (subject) where action = 'run.sealed';
comment on table retention.audit_entry is 'The audit chain, append-only: one entry an action, each with a hash over itself and the entry before.';
comment on column retention.audit_entry.n is 'Dense from 1: a gap is a removed entry.';
comment on column retention.audit_entry.at is 'When it was written, by the database''s clock.';
comment on column retention.audit_entry.actor is 'Who or what did it.';
comment on column retention.audit_entry.action is 'What was done, e.g. hold.placed or run.sealed.';
comment on column retention.audit_entry.subject is 'To what: an id or a name, never personal data.';
comment on column retention.audit_entry.reason is 'Why, as given by the actor.';
comment on column retention.audit_entry.detail is 'What else there is to know: ids, counts and instants.';
comment on column retention.audit_entry.prev is 'Hash of the entry before; 64 zeros for the first.';
comment on column retention.audit_entry.hash is 'SHA-256 over n, at, actor, action, subject, reason, detail and prev, each as length:value.';

-- A value as length:value, so that no two different entries give the same text.
create function retention.audit_field(value text) returns text
language sql immutable strict security invoker set search_path = pg_catalog, pg_temp as $$
  select octet_length(convert_to(value, 'UTF8')) || ':' || value || ','
$$;
comment on function retention.audit_field(text) is 'One field of what is hashed.';

create function retention.audit_hash(e retention.audit_entry) returns text
language sql stable security invoker set search_path = pg_catalog, pg_temp as $$
  select encode(sha256(convert_to(
    retention.audit_field(e.n::text)
    || retention.audit_field(to_char(e.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
    || retention.audit_field(e.actor) || retention.audit_field(e.action) || retention.audit_field(e.subject)
    || retention.audit_field(e.reason) || retention.audit_field(e.detail::text) || retention.audit_field(e.prev),
    'UTF8')), 'hex')
$$;
comment on function retention.audit_hash(retention.audit_entry) is 'The hash of an entry: fixed order, UTC, whatever the session is set to.';

create function retention.chain_event() returns trigger
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
create trigger lapse_chain before insert on retention.audit_entry
  for each row execute function retention.chain_event();

create function retention.refuse_change() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  raise exception 'lapse: % is append-only', tg_table_name using errcode = 'LP009';
end $$;
comment on function retention.refuse_change() is 'Keeps even the owner from changing the chain by accident.';
create trigger lapse_append_only before update or delete or truncate on retention.audit_entry
  for each statement execute function retention.refuse_change();

create function retention.receipt_hash(c retention.receipt) returns bytea
language sql stable security invoker set search_path = pg_catalog, pg_temp as $$
  select sha256(convert_to(
    retention.audit_field(c.run::text) || retention.audit_field(c.seq::text) || retention.audit_field(c.policy)
    || retention.audit_field(c.policy_version) || retention.audit_field(c.action) || retention.audit_field(c.actor)
    || retention.audit_field(c.reason)
    || retention.audit_field(to_char(c.as_of at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
    || retention.audit_field(c.table_name) || retention.audit_field(to_jsonb(c.keys)::text)
    || retention.audit_field(c.dependants::text) || retention.audit_field(c.by_rule::text)
    || retention.audit_field(c.locked::text) || retention.audit_field(c.deleted::text)
    || retention.audit_field(c.dependants_deleted::text) || retention.audit_field(c.files::text)
    || retention.audit_field(c.bytes::text) || retention.audit_field(c.picked::text) || retention.audit_field(c.kept::text)
    || retention.audit_field(to_char(c.committed_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')), 'UTF8'))
$$;
comment on function retention.receipt_hash(retention.receipt) is 'SHA-256 over a receipt, fields in fixed order; the cursor, which is no evidence, is left out.';

create function retention.run_digest(r uuid, out receipts bigint, out last_seq int, out deleted numeric, out digest text, out gaps jsonb)
language sql stable security invoker set search_path = pg_catalog, pg_temp as $$
  select count(*), coalesce(max(c.seq), 0), coalesce(sum(c.deleted), 0),
    encode(sha256(coalesce(string_agg(retention.receipt_hash(c), ''::bytea order by c.seq), ''::bytea)), 'hex'),
    (
      select coalesce(jsonb_agg(g.seq order by g.seq), '[]')
      from generate_series(1, (select max(seq) from retention.receipt where run = r)) g(seq)
      where not exists (select 1 from retention.receipt x where x.run = r and x.seq = g.seq)
    )
  from retention.receipt c where c.run = r
$$;
comment on function retention.run_digest(uuid) is
  'One hash over all receipts of a run, in their order; gaps are numbers whose batch deleted nothing, as lanes may leave.';

create function retention.run_reason(r uuid) returns text
language sql stable security invoker set search_path = pg_catalog, pg_temp as $$
  select c.reason from retention.receipt c where c.run = r order by c.seq limit 1
$$;
comment on function retention.run_reason(uuid) is 'Why a run deleted: the reason its receipts give. Null when it deleted nothing.';

-- Under the policy's exclusive lock, and after the run has lost the right to delete: nothing can be added.
create function retention.seal_run(r uuid) returns boolean
language plpgsql volatile security invoker set search_path = pg_catalog, pg_temp as $$
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

-- A clean run that deleted something is one step of the rollout; one that was limited by hand, set rows aside
-- or erased on request is none. A drained pass ends its approval.
create function retention.run_ended() returns trigger
language plpgsql security invoker set search_path = pg_catalog, pg_temp as $$
begin
  if new.deleted > 0 and new.approval is null
    and (new.outcome = 'succeeded' or (new.outcome = 'interrupted' and new.reason in ('rollout', 'time')))
    and not exists (select 1 from retention.dead_letter l where l.run = new.id)
    and retention.run_reason(new.id) <> 'erasure' then
    update retention.policy_version set clean_runs = clean_runs + 1
      where policy = new.policy and version = new.policy_version;
  end if;
  if new.approval is not null and new.outcome = 'succeeded' then
    update retention.approval set done_at = new.finished_at where id = new.approval;
  end if;
  -- Atomic with the end of the run: what is recorded as finished is sealed.
  perform retention.seal_run(new.id);
  return null;
end $$;
comment on function retention.run_ended() is 'What the end of a run means for the rollout of its version, for its approval and for the audit chain.';
create trigger lapse_ended after update on retention.run for each row
  when (old.finished_at is null and new.finished_at is not null and new.mode = 'delete')
  execute function retention.run_ended();

-- All that decides whether a run may begin to delete, as one value.
create function retention.admission(
  p text, v text, r text, declared jsonb, at timestamptz, cooling interval, relation text
) returns jsonb language sql stable security invoker set search_path = pg_catalog, pg_temp as $$
  select jsonb_build_object(
    'periods', e.periods,
    'waits_until', to_char(e.waits_until at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
    'clean_runs', coalesce((select clean_runs from retention.policy_version where policy = p and version = v), 0),
    'estimate', (select reltuples::bigint from pg_class where oid = to_regclass(relation)),
    'usual', (
      select jsonb_build_object('runs', count(*), 'median', percentile_cont(0.5) within group (order by x.deleted))
      from (
        select deleted from retention.run
        where policy = p and mode = 'delete' and deleted > 0 and approval is null and finished_at is not null
          and (outcome = 'succeeded' or (outcome = 'interrupted' and reason = 'time'))
          and retention.run_reason(id) <> 'erasure'
        order by started_at desc limit 20
      ) x),
    'approval', (
      select jsonb_build_object('id', a.id, 'digest', a.digest, 'expired', a.expired, 'used', a.used_at is not null,
        'as_of', to_char(a.as_of at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
        'expires_at', to_char(a.expires_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
        'gone', (select coalesce(sum(c.deleted), 0) from retention.run u join retention.receipt c on c.run = u.id where u.approval = a.id))
      from retention.approval a
      -- Once begun, its pass may take a few nights.
      where a.policy = p and a.version = v and a.done_at is null and a.voided_at is null
        and case when a.used_at is null then a.expires_at > at else a.used_at > at - interval '3 days' end
      order by a.used_at desc nulls last, a.approved_at desc limit 1)
  ) from retention.effective_periods(p, r, declared, at, cooling) e
$$;
comment on function retention.admission(text, text, text, jsonb, timestamptz, interval, text) is
  'Effective periods, rollout, size of the table, usual run and open approval of a policy, as one value.';

grant select, insert, update on retention.policy_version, retention.tenant_label, retention.approval to lapse_app;
grant select, insert on retention.past_override to lapse_app;
grant select on retention.audit_entry to lapse_app;
grant insert (actor, action, subject, reason, detail) on retention.audit_entry to lapse_app;

revoke execute on all functions in schema retention from public;
grant execute on all functions in schema retention to lapse_app;

-- Down Migration

drop function retention.admission(text, text, text, jsonb, timestamptz, interval, text);
drop trigger lapse_ended on retention.run;
drop function retention.run_ended();
drop function retention.declare_version(text, text, text, jsonb, text, timestamptz);
drop function retention.effective_periods(text, text, jsonb, timestamptz, interval);
drop function retention.seal_run(uuid);
drop function retention.run_reason(uuid);
drop function retention.run_digest(uuid);
drop function retention.receipt_hash(retention.receipt);
drop table retention.audit_entry cascade;
drop function retention.chain_event();
drop function retention.refuse_change();
drop function retention.audit_field(text);
alter table retention.run drop column approval;
drop table retention.approval;
drop trigger lapse_remember on retention.period_override;
drop function retention.remember_override();
drop table retention.past_override;
drop table retention.tenant_label;
drop table retention.policy_version;

drop trigger lapse_letters on retention.receipt;
drop function retention.resolve_letters();
drop function retention.try_each(tid[], text, timestamptz);
drop index retention.dead_letter_row;
drop index retention.dead_letter_policy;
alter table retention.dead_letter drop column run;
