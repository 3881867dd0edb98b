-- Lapse's own schema: all that a database needs to be governed. Rules and the experiments behind them:
-- locks are taken in statements of their own before the deciding statement; the exclusive side of every
-- lock is a trigger, so that no path can forget it; receipts and the outbox are written by the deleting
-- statement itself. Works on PostgreSQL 14 to 18.

-- Up Migration

create schema if not exists retention;
comment on schema retention is 'Lapse: what was deleted, why, by which run, and what may not be deleted.';

do $$
begin
  if not exists (select from pg_roles where rolname = 'lapse_app') then
    create role lapse_app nologin;
  end if;
exception when duplicate_object or unique_violation then null;
end $$;

create table retention.policy_state (
  policy        text primary key,
  lock_id       int generated always as identity unique,
  fence         bigint not null default 0 check (fence >= 0),
  run_now       uuid,
  version       text,
  paused        boolean not null default false,
  paused_by     text,
  paused_reason text,
  paused_at     timestamptz,
  created_at    timestamptz not null default now(),
  updated_at    timestamptz not null default now(),
  check (not paused or (paused_by is not null and paused_reason is not null and paused_at is not null))
);
comment on table retention.policy_state is 'One row a policy: the fence that makes a lost lease harmless, and the pause switch.';
comment on column retention.policy_state.policy is 'The name of the policy: its file, route and test.';
comment on column retention.policy_state.lock_id is 'Second key of the advisory lock (7001, lock_id) of this policy.';
comment on column retention.policy_state.fence is 'Moves by one with each run and each forced release; a batch with another number deletes nothing.';
comment on column retention.policy_state.run_now is 'The run that may delete now; null when none may.';
comment on column retention.policy_state.version is 'Fingerprint of the declaration the current or last run used.';
comment on column retention.policy_state.paused is 'True stops this policy at its next batch.';
comment on column retention.policy_state.paused_by is 'Who paused it.';
comment on column retention.policy_state.paused_reason is 'Why it is paused.';
comment on column retention.policy_state.paused_at is 'Since when it is paused.';
comment on column retention.policy_state.created_at is 'When the policy first ran.';
comment on column retention.policy_state.updated_at is 'When this row last changed.';

create table retention.kill_switch (
  only_row   boolean primary key default true check (only_row),
  stopped    boolean not null default false,
  stopped_by text,
  reason     text,
  stopped_at timestamptz,
  check (not stopped or (stopped_by is not null and reason is not null and stopped_at is not null))
);
insert into retention.kill_switch default values;
comment on table retention.kill_switch is 'One row: true stops every policy at its next batch.';
comment on column retention.kill_switch.only_row is 'Keeps this a table of one row.';
comment on column retention.kill_switch.stopped is 'True: nothing is deleted by any policy.';
comment on column retention.kill_switch.stopped_by is 'Who stopped everything.';
comment on column retention.kill_switch.reason is 'Why everything is stopped.';
comment on column retention.kill_switch.stopped_at is 'Since when everything is stopped.';

create table retention.run (
  id                 uuid primary key,
  policy             text not null references retention.policy_state (policy),
  mode               text not null check (mode in ('delete', 'dry_run')),
  trigger            text not null check (trigger in ('cron', 'manual')),
  actor              text not null,
  correlation_id     text not null,
  fence              bigint not null,
  policy_version     text not null,
  as_of              timestamptz not null,
  started_at         timestamptz not null,
  finished_at        timestamptz,
  outcome            text check (outcome in ('succeeded', 'interrupted', 'skipped', 'errored')),
  reason             text,
  batches            int not null default 0,
  picked             bigint not null default 0,
  deleted            bigint not null default 0,
  dependants_deleted bigint not null default 0,
  files_queued       bigint not null default 0,
  bytes_freed        bigint not null default 0,
  by_rule            jsonb not null default '{}',
  kept               jsonb not null default '{}',
  preview            jsonb,
  duration_seconds   double precision,
  sla_status         text check (sla_status in ('within_sla', 'warning', 'breached')),
  sealed_at          timestamptz,
  created_at         timestamptz not null default now(),
  updated_at         timestamptz not null default now(),
  check ((outcome is null) = (finished_at is null))
);
create index run_policy_started_at on retention.run (policy, started_at desc);
create index run_unfinished on retention.run (policy) where finished_at is null;
comment on table retention.run is 'One execution of a policy. Counts of deletions are taken from its receipts when it ends.';
comment on column retention.run.id is 'The run id of logs, receipts and answers.';
comment on column retention.run.policy is 'Which policy ran.';
comment on column retention.run.mode is 'delete, or dry_run, which never counts as a deletion.';
comment on column retention.run.trigger is 'cron, or manual by an authenticated request.';
comment on column retention.run.actor is 'Who or what asked for the run.';
comment on column retention.run.correlation_id is 'Ties the run to its request and log lines.';
comment on column retention.run.fence is 'The number this run was given; 0 for a dry run, which needs none.';
comment on column retention.run.policy_version is 'Fingerprint of the declaration the run used.';
comment on column retention.run.as_of is 'The instant from which retention was counted back.';
comment on column retention.run.started_at is 'When the run began, by the clock of the service.';
comment on column retention.run.finished_at is 'When the run ended; null while it runs or if it was lost.';
comment on column retention.run.outcome is 'succeeded: drained. interrupted: the next run resumes. skipped: nothing was tried. errored: look at reason.';
comment on column retention.run.reason is 'Why it did not succeed.';
comment on column retention.run.batches is 'Batches that deleted something.';
comment on column retention.run.picked is 'Rows looked at.';
comment on column retention.run.deleted is 'Rows of the governed table that went.';
comment on column retention.run.dependants_deleted is 'Rows of declared dependants that went with them.';
comment on column retention.run.files_queued is 'Entries written to the outbox.';
comment on column retention.run.bytes_freed is 'Bytes of the files of deleted rows.';
comment on column retention.run.by_rule is 'Deleted rows and bytes by rule label.';
comment on column retention.run.kept is 'Rows that were looked at and stayed, by reason.';
comment on column retention.run.preview is 'What a dry run found.';
comment on column retention.run.duration_seconds is 'How long it took.';
comment on column retention.run.sla_status is 'Its duration against the policy''s allowed duration.';
comment on column retention.run.sealed_at is 'When its receipts were sealed into the audit chain.';
comment on column retention.run.created_at is 'When the row was written.';
comment on column retention.run.updated_at is 'When the row last changed.';

create table retention.receipt (
  id                 bigint generated always as identity primary key,
  run                uuid not null references retention.run (id),
  seq                int not null check (seq >= 1),
  policy             text not null,
  policy_version     text not null,
  action             text not null check (action in ('delete', 'soft_delete', 'drop_partition')),
  actor              text not null,
  reason             text not null,
  as_of              timestamptz not null,
  table_name         text not null,
  keys               text[] not null,
  dependants         jsonb not null default '{}',
  by_rule            jsonb not null default '{}',
  locked             int not null,
  deleted            bigint not null check (deleted > 0),
  dependants_deleted int not null default 0,
  files              int not null default 0,
  bytes              bigint not null default 0,
  picked             int not null,
  kept               jsonb not null default '{}',
  cursor_after       jsonb,
  committed_at       timestamptz not null default clock_timestamp(),
  unique (run, seq)
);
-- Random keys compress badly and a batch waits for the attempt: keep them as they are.
alter table retention.receipt alter column keys set storage external;
create index receipt_policy_committed_at on retention.receipt (policy, committed_at);
comment on table retention.receipt is 'What a batch did, written by the deleting statement itself: no receipt, no deletion. Append-only; keys only, no personal data.';
comment on column retention.receipt.id is 'Order of writing, with gaps; completeness is the dense seq of each run.';
comment on column retention.receipt.run is 'The run that deleted.';
comment on column retention.receipt.seq is 'The batch within its run, dense from 1.';
comment on column retention.receipt.policy is 'The policy that decided.';
comment on column retention.receipt.policy_version is 'Fingerprint of its declaration.';
comment on column retention.receipt.action is 'delete, soft_delete or drop_partition.';
comment on column retention.receipt.actor is 'Who or what asked for the run.';
comment on column retention.receipt.reason is 'Why the rows went, e.g. "retention".';
comment on column retention.receipt.as_of is 'The instant from which retention was counted back.';
comment on column retention.receipt.table_name is 'The governed table, schema.name.';
comment on column retention.receipt.keys is 'Keys of the deleted rows as text; a key of several columns as a JSON array.';
comment on column retention.receipt.dependants is 'Keys of the dependants'' rows that went with them, by table.';
comment on column retention.receipt.by_rule is 'Deleted rows and bytes by rule label.';
comment on column retention.receipt.locked is 'Rows judged and locked before the delete: the count before.';
comment on column retention.receipt.deleted is 'Rows the delete returned: the count after; must equal locked.';
comment on column retention.receipt.dependants_deleted is 'Rows of dependants that went.';
comment on column retention.receipt.files is 'Entries written to the outbox by the same transaction.';
comment on column retention.receipt.bytes is 'Bytes of those files.';
comment on column retention.receipt.picked is 'Rows looked at by the batch.';
comment on column retention.receipt.kept is 'Rows looked at that stayed, by reason.';
comment on column retention.receipt.cursor_after is 'Where the pass goes on; replaces an answer that was lost.';
comment on column retention.receipt.committed_at is 'When the batch wrote it.';

create table retention.outbox (
  id              bigint generated always as identity primary key,
  run             uuid not null references retention.run (id),
  seq             int not null,
  policy          text not null,
  table_name      text not null,
  row_key         text not null,
  url             text not null,
  bytes           bigint,
  etag            text,
  state           text not null default 'pending'
                  check (state in ('pending', 'deleting', 'deleted', 'kept', 'dead')),
  attempts        int not null default 0,
  next_attempt_at timestamptz not null default now(),
  error_class     text,
  created_at      timestamptz not null default now(),
  updated_at      timestamptz not null default now()
);
create index outbox_due on retention.outbox (next_attempt_at, id) where state in ('pending', 'deleting');
create index outbox_url on retention.outbox (url);
create index outbox_run on retention.outbox (run, seq);
comment on table retention.outbox is 'Blob deletions decided by committed batches, one entry a deleted reference, until the store has confirmed each.';
comment on column retention.outbox.id is 'Order of writing.';
comment on column retention.outbox.run is 'The run whose batch decided it.';
comment on column retention.outbox.seq is 'The batch within that run.';
comment on column retention.outbox.policy is 'The policy that decided.';
comment on column retention.outbox.table_name is 'The table whose deleted row named the file.';
comment on column retention.outbox.row_key is 'The key of that row.';
comment on column retention.outbox.url is 'URL or pathname of the blob.';
comment on column retention.outbox.bytes is 'Its size as the row told it.';
comment on column retention.outbox.etag is 'The blob''s etag when it was claimed: a file written again since is spared.';
comment on column retention.outbox.state is 'pending; deleting: claimed by a drain; deleted: confirmed; kept: a live row still refers to it; dead: needs a person.';
comment on column retention.outbox.attempts is 'How often the store was asked.';
comment on column retention.outbox.next_attempt_at is 'Not before then.';
comment on column retention.outbox.error_class is 'Class of the last failure; never the file''s content or name.';
comment on column retention.outbox.created_at is 'When the deletion was decided.';
comment on column retention.outbox.updated_at is 'When the entry last changed.';

create table retention.hold (
  id             uuid primary key default gen_random_uuid(),
  scope          text not null check (scope in ('organization', 'user', 'item')),
  subject        text not null check (subject <> ''),
  table_name     text,
  reason         text not null check (reason <> ''),
  placed_by      text not null check (placed_by <> ''),
  placed_at      timestamptz not null default now(),
  released_by    text,
  released_at    timestamptz,
  release_reason text,
  created_at     timestamptz not null default now(),
  updated_at     timestamptz not null default now(),
  check ((scope = 'item') = (table_name is not null)),
  check ((released_at is null) = (released_by is null)),
  check (released_by is null or (released_by <> placed_by and release_reason is not null))
);
create index hold_in_force on retention.hold (scope, subject) where released_at is null;
comment on table retention.hold is 'Legal holds: what may not be deleted by any path. Placing one waits for the running batches.';
comment on column retention.hold.id is 'Identifies the hold.';
comment on column retention.hold.scope is 'organization, user or item.';
comment on column retention.hold.subject is 'Id of the organization or user, or the key of the item, as text.';
comment on column retention.hold.table_name is 'For an item: its table, schema.name.';
comment on column retention.hold.reason is 'Why, e.g. the matter''s number.';
comment on column retention.hold.placed_by is 'Who placed it.';
comment on column retention.hold.placed_at is 'When it was placed.';
comment on column retention.hold.released_by is 'Who released it: never the one who placed it.';
comment on column retention.hold.released_at is 'When it was released; null while in force.';
comment on column retention.hold.release_reason is 'Why it was released.';
comment on column retention.hold.created_at is 'When the row was written.';
comment on column retention.hold.updated_at is 'When the row last changed.';

create table retention.extension (
  id          uuid primary key default gen_random_uuid(),
  table_name  text not null,
  row_key     text not null,
  keep_until  timestamptz not null,
  reason      text not null check (reason <> ''),
  extended_by text not null check (extended_by <> ''),
  created_at  timestamptz not null default now(),
  updated_at  timestamptz not null default now(),
  unique (table_name, row_key)
);
comment on table retention.extension is 'One item kept longer than its policy says.';
comment on column retention.extension.id is 'Identifies the extension.';
comment on column retention.extension.table_name is 'Its table, schema.name.';
comment on column retention.extension.row_key is 'Its key as text.';
comment on column retention.extension.keep_until is 'Not deleted before then.';
comment on column retention.extension.reason is 'Why.';
comment on column retention.extension.extended_by is 'Who extended it.';
comment on column retention.extension.created_at is 'When it was first extended.';
comment on column retention.extension.updated_at is 'When it last changed.';

create table retention.period_override (
  policy       text not null,
  tenant       text not null,
  keep_seconds bigint check (keep_seconds > 0),
  reason       text not null check (reason <> ''),
  set_by       text not null check (set_by <> ''),
  created_at   timestamptz not null default now(),
  updated_at   timestamptz not null default now(),
  primary key (policy, tenant)
);
comment on table retention.period_override is 'A period of its own for one organization under one policy; wins over its tier.';
comment on column retention.period_override.policy is 'The policy.';
comment on column retention.period_override.tenant is 'Id of the organization as text.';
comment on column retention.period_override.keep_seconds is 'How long to keep; null keeps forever.';
comment on column retention.period_override.reason is 'Why.';
comment on column retention.period_override.set_by is 'Who set it.';
comment on column retention.period_override.created_at is 'When it was first set.';
comment on column retention.period_override.updated_at is 'When it last changed.';

create table retention.dead_letter (
  id              uuid primary key default gen_random_uuid(),
  policy          text not null,
  table_name      text not null,
  row_key         text not null,
  sql_state       text not null,
  constraint_name text,
  state           text not null default 'open' check (state in ('open', 'resolved', 'discarded')),
  attempts        int not null default 1,
  next_attempt_at timestamptz not null,
  assigned_to     text,
  resolution      text,
  created_at      timestamptz not null default now(),
  updated_at      timestamptz not null default now()
);
create unique index dead_letter_open on retention.dead_letter (table_name, row_key) where state = 'open';
comment on table retention.dead_letter is 'Rows that could not be deleted, with why: the error''s class and constraint, no row content.';
comment on column retention.dead_letter.id is 'Identifies the entry.';
comment on column retention.dead_letter.policy is 'The policy that wanted it gone.';
comment on column retention.dead_letter.table_name is 'Its table, schema.name.';
comment on column retention.dead_letter.row_key is 'Its key as text.';
comment on column retention.dead_letter.sql_state is 'PostgreSQL''s error code.';
comment on column retention.dead_letter.constraint_name is 'The constraint, when the error names one.';
comment on column retention.dead_letter.state is 'open; resolved: gone since; discarded: someone decided it stays.';
comment on column retention.dead_letter.attempts is 'How often it was tried.';
comment on column retention.dead_letter.next_attempt_at is 'Not tried before then.';
comment on column retention.dead_letter.assigned_to is 'Who looks after it.';
comment on column retention.dead_letter.resolution is 'What was decided and why.';
comment on column retention.dead_letter.created_at is 'When it first failed.';
comment on column retention.dead_letter.updated_at is 'When the entry last changed.';

-- The exclusive side of lock (7001, 0): what may not be deleted waits for the running batches of all policies.
create function retention.gate() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  perform pg_advisory_xact_lock(7001, 0);
  return null;
end $$;
comment on function retention.gate() is 'Statement trigger: waits for every running batch. Put it on each table that a policy''s decision is read from.';

create function retention.gate_policy() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  perform pg_advisory_xact_lock(7001, old.lock_id);
  new.updated_at := clock_timestamp();
  return new;
end $$;
comment on function retention.gate_policy() is 'Row trigger of policy_state: pause, takeover and seal wait for the policy''s running batch.';

create function retention.touch() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  new.updated_at := clock_timestamp();
  return new;
end $$;
comment on function retention.touch() is 'Keeps updated_at true.';

create trigger lapse_gate before insert or update or delete on retention.hold
  for each statement execute function retention.gate();
create trigger lapse_gate before insert or update or delete on retention.extension
  for each statement execute function retention.gate();
create trigger lapse_gate before insert or update or delete on retention.period_override
  for each statement execute function retention.gate();
create trigger lapse_gate before insert or update or delete on retention.kill_switch
  for each statement execute function retention.gate();
create trigger lapse_gate before update on retention.policy_state
  for each row execute function retention.gate_policy();
create trigger lapse_touch before update on retention.run for each row execute function retention.touch();
create trigger lapse_touch before update on retention.outbox for each row execute function retention.touch();
create trigger lapse_touch before update on retention.hold for each row execute function retention.touch();
create trigger lapse_touch before update on retention.extension for each row execute function retention.touch();
create trigger lapse_touch before update on retention.period_override for each row execute function retention.touch();
create trigger lapse_touch before update on retention.dead_letter for each row execute function retention.touch();

-- Statement 2 of every batch. Takes the locks in statements of their own, then reads: one statement sees one snapshot.
create function retention.enter_batch(p text, f bigint, r uuid, s int, v text) returns void
language plpgsql volatile security invoker set search_path = pg_catalog, pg_temp as $$
declare
  st record;
  k int;
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'lapse: a batch needs READ COMMITTED' using errcode = 'LP005';
  end if;
  if current_setting('statement_timeout') = '0' or current_setting('lock_timeout') = '0' then
    raise exception 'lapse: a batch needs statement_timeout and lock_timeout' using errcode = 'LP006';
  end if;
  perform pg_advisory_xact_lock_shared(7001, 0);
  select lock_id into k from retention.policy_state where policy = p;
  if k is null then
    raise exception 'lapse: unknown policy' using errcode = 'LP001';
  end if;
  perform pg_advisory_xact_lock_shared(7001, k);
  perform pg_advisory_xact_lock(hashtextextended(r::text || ':' || s, 7001));
  select fence, paused, run_now, version into st from retention.policy_state where policy = p;
  if st.fence is distinct from f or st.run_now is distinct from r or st.version is distinct from v then
    raise exception 'lapse: this run may not delete any more' using errcode = 'LP002';
  end if;
  if st.paused or (select stopped from retention.kill_switch) is distinct from false then
    raise exception 'lapse: paused' using errcode = 'LP003';
  end if;
  if exists (select 1 from retention.receipt where run = r and seq = s) then
    raise exception 'lapse: this batch has committed' using errcode = 'LP004';
  end if;
  perform set_config('lapse.batch', r::text || ':' || s, true);
end $$;
comment on function retention.enter_batch(text, bigint, uuid, int, text) is
  'Takes the shared locks (all, policy) and the batch''s own, then checks fence, run, version, pause and that no receipt exists.';

-- Statement 4: a new statement, so it sees what the delete did. `still_there` counts the receipt's keys that are left.
create function retention.confirm_batch(r uuid, s int, still_there bigint) returns void
language plpgsql volatile security invoker set search_path = pg_catalog, pg_temp as $$
declare
  rc record;
begin
  select locked, deleted, cardinality(keys) as named into rc from retention.receipt where run = r and seq = s;
  if not found then
    return;
  end if;
  if rc.locked <> rc.deleted or rc.named <> rc.deleted or still_there <> 0 then
    raise exception 'lapse: counts differ: locked %, deleted %, named %, left %',
      rc.locked, rc.deleted, rc.named, still_there using errcode = 'LP007';
  end if;
end $$;
comment on function retention.confirm_batch(uuid, int, bigint) is
  'Rolls the batch back unless rows locked, deleted, named in the receipt and gone are the same number.';

-- Begins a run: closes what an earlier run left open, moves the fence, writes the record. Waits for a running batch.
create function retention.begin_run(
  p text, r uuid, v text, started timestamptz, how text, who text, correlation text,
  out fence bigint, out as_of timestamptz, out refused text
) language plpgsql volatile security invoker set search_path = pg_catalog, pg_temp as $$
begin
  insert into retention.policy_state (policy) values (p) on conflict do nothing;
  if (select stopped from retention.kill_switch) is distinct from false then
    refused := 'stopped';
    return;
  end if;
  update retention.policy_state s set fence = s.fence + 1, run_now = r, version = v
    where s.policy = p and not s.paused
    returning s.fence into fence;
  if fence is null then
    refused := 'paused';
    return;
  end if;
  -- A clock that runs ahead must not make anything expire early.
  as_of := least(started, clock_timestamp());
  perform retention.close_run(lost.id, 'interrupted', 'lost', started, null, null, null)
    from retention.run lost where lost.policy = p and lost.finished_at is null and lost.mode = 'delete';
  insert into retention.run (id, policy, mode, trigger, actor, correlation_id, fence, policy_version, as_of, started_at)
    values (r, p, 'delete', how, who, correlation, fence, v, as_of, started);
end $$;

-- Counts come from the receipts: they are right also when the runner died before it could tell.
create function retention.close_run(
  r uuid, how text, why text, at timestamptz, looked_at bigint, stayed jsonb, sla text
) returns void language plpgsql volatile security invoker set search_path = pg_catalog, pg_temp as $$
begin
  update retention.run set
    outcome = how, reason = why, finished_at = greatest(at, started_at), sla_status = sla,
    duration_seconds = extract(epoch from greatest(at, started_at) - started_at),
    batches = t.batches, deleted = t.deleted, dependants_deleted = t.dependants, files_queued = t.files,
    bytes_freed = t.bytes, by_rule = t.by_rule,
    picked = coalesce(looked_at, t.picked), kept = coalesce(stayed, '{}')
  from (
    select count(*) as batches, coalesce(sum(c.deleted), 0) as deleted,
      coalesce(sum(c.dependants_deleted), 0) as dependants, coalesce(sum(c.files), 0) as files,
      coalesce(sum(c.bytes), 0) as bytes, coalesce(sum(c.picked), 0) as picked,
      coalesce((
        select jsonb_object_agg(x.label, jsonb_build_object('deleted', x.deleted, 'bytes', x.bytes))
        from (
          select e.key as label, sum((e.value->>'deleted')::bigint) as deleted, sum((e.value->>'bytes')::bigint) as bytes
          from retention.receipt i cross join lateral jsonb_each(i.by_rule) e where i.run = r group by e.key
        ) x
      ), '{}') as by_rule
    from retention.receipt c where c.run = r
  ) t
  where run.id = r and run.finished_at is null;
end $$;
comment on function retention.close_run(uuid, text, text, timestamptz, bigint, jsonb, text) is
  'Ends a run''s record with counts taken from its receipts.';
comment on function retention.begin_run(text, uuid, text, timestamptz, text, text, text) is
  'Moves the fence and opens the run''s record; refused says paused or stopped, and nothing was changed.';

-- Ends a run: no batch of it can commit afterwards.
create function retention.end_run(
  p text, r uuid, how text, why text, at timestamptz, looked_at bigint, stayed jsonb, sla text
) returns void language plpgsql volatile security invoker set search_path = pg_catalog, pg_temp as $$
begin
  update retention.policy_state set run_now = null where policy = p and run_now = r;
  perform retention.close_run(r, how, why, at, looked_at, stayed, sla);
end $$;
comment on function retention.end_run(text, uuid, text, text, timestamptz, bigint, jsonb, text) is
  'Takes the right to delete from the run, waiting for a batch still under way, then ends its record.';

-- Least privilege: the app reads all, appends receipts, and can neither edit nor remove one.
grant usage on schema retention to lapse_app;
grant select on all tables in schema retention to lapse_app;
grant insert, update on retention.policy_state, retention.run, retention.outbox, retention.hold,
  retention.extension, retention.period_override, retention.dead_letter to lapse_app;
grant update on retention.kill_switch to lapse_app;
grant delete on retention.extension, retention.period_override to lapse_app;
grant insert (run, seq, policy, policy_version, action, actor, reason, as_of, table_name, keys, dependants, by_rule,
  locked, deleted, dependants_deleted, files, bytes, picked, kept, cursor_after) on retention.receipt to lapse_app;
grant usage on all sequences in schema retention to lapse_app;
revoke execute on all functions in schema retention from public;
grant execute on all functions in schema retention to lapse_app;

-- Down Migration

drop schema retention cascade;
