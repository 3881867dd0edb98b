-- Watching: refunds of orders whose review took too long, and running totals for the metrics, kept by the end of
-- each run, so that reading them costs the same at one run and at a million.

-- Up Migration

create table retention.refund_intent (
  id                uuid primary key default gen_random_uuid(),
  order_key         text not null unique,
  payment           text,
  amount            bigint not null check (amount > 0),
  currency          text not null check (currency ~ '^[a-z]{3}$'),
  requested_by      text not null check (requested_by <> ''),
  reason            text not null check (reason <> ''),
  state             text not null check (state in ('pending', 'submitted', 'succeeded', 'manual', 'closed')),
  refused_because   text,
  key_generation    int not null default 1 check (key_generation >= 1),
  refund_id         text unique,
  attempts          int not null default 0 check (attempts >= 0),
  next_attempt_at   timestamptz not null,
  lease             uuid,
  leased_until      timestamptz,
  error_class       text,
  claimed_at        timestamptz not null,
  settled_at        timestamptz,
  created_at        timestamptz not null default now(),
  updated_at        timestamptz not null default now(),
  check ((state = 'manual') <= (refused_because is not null)),
  check ((state = 'succeeded') <= (refund_id is not null)),
  check ((lease is null) = (leased_until is null)),
  check (payment is not null or state in ('manual', 'closed'))
);
create index refund_intent_due on retention.refund_intent (next_attempt_at, id) where state in ('pending', 'submitted');
create index refund_intent_manual on retention.refund_intent (claimed_at, id) where state = 'manual';
create index refund_intent_claimed_at on retention.refund_intent (claimed_at) include (amount, currency);
comment on table retention.refund_intent is 'The one refund an order can have: written, with its idempotency key, before the provider is asked.';
comment on column retention.refund_intent.id is 'Travels to the provider as metadata: by it a refund is recognized when the answer was lost or the key is gone.';
comment on column retention.refund_intent.order_key is 'Key of the order as text. Unique: a second refund of an order cannot be written down.';
comment on column retention.refund_intent.payment is 'The payment at the provider.';
comment on column retention.refund_intent.amount is 'In the smallest unit of the currency; as it was when claimed.';
comment on column retention.refund_intent.currency is 'ISO 4217, lower case.';
comment on column retention.refund_intent.requested_by is 'The watch, or the operator who asked for it.';
comment on column retention.refund_intent.reason is 'Why.';
comment on column retention.refund_intent.state is 'pending: the provider may or may not have it. submitted: it has it, not confirmed. succeeded. manual: a person decides. closed: a person decided against it.';
comment on column retention.refund_intent.refused_because is 'Why it went to the manual queue.';
comment on column retention.refund_intent.key_generation is 'Last part of the idempotency key lapse-<id>-<generation>; moves only when the provider has finished a key with an error and holds no refund.';
comment on column retention.refund_intent.refund_id is 'The refund at the provider.';
comment on column retention.refund_intent.attempts is 'How often the provider was asked.';
comment on column retention.refund_intent.next_attempt_at is 'Not asked before then.';
comment on column retention.refund_intent.lease is 'The watcher that has it in hand; its answer counts only while the lease is its own.';
comment on column retention.refund_intent.leased_until is 'Until when; longer than a call to the provider may take.';
comment on column retention.refund_intent.error_class is 'What the last attempt ended with.';
comment on column retention.refund_intent.claimed_at is 'When the order was claimed for it; the daily cap counts by it.';
comment on column retention.refund_intent.settled_at is 'When it succeeded or was closed.';
comment on column retention.refund_intent.created_at is 'When the row was written.';
comment on column retention.refund_intent.updated_at is 'When the row last changed.';
create trigger lapse_touch before update on retention.refund_intent for each row execute function retention.touch();

create table retention.order_step (
  order_key  text not null,
  due_at     timestamptz not null,
  step       text not null,
  taken_at   timestamptz not null,
  created_at timestamptz not null default now(),
  primary key (order_key, due_at, step)
);
create index order_step_taken_at on retention.order_step (taken_at);
comment on table retention.order_step is 'Escalation steps that were taken, each once for a deadline; an extension gives a new deadline.';
comment on column retention.order_step.order_key is 'Key of the order as text.';
comment on column retention.order_step.due_at is 'The deadline it was about.';
comment on column retention.order_step.step is 'Name of the step.';
comment on column retention.order_step.taken_at is 'When it was taken.';
comment on column retention.order_step.created_at is 'When the row was written.';

create table retention.deleted_total (
  policy     text not null,
  plan       text not null,
  deleted    bigint not null default 0 check (deleted >= 0),
  bytes      numeric not null default 0 check (bytes >= 0),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (policy, plan)
);
comment on table retention.deleted_total is 'Rows and bytes deleted since the first run, by policy and label; dry runs never count.';
comment on column retention.deleted_total.policy is 'The policy.';
comment on column retention.deleted_total.plan is 'Label of the rule: a tier or a case.';
comment on column retention.deleted_total.deleted is 'Rows.';
comment on column retention.deleted_total.bytes is 'Bytes of their files.';
comment on column retention.deleted_total.created_at is 'When it first counted.';
comment on column retention.deleted_total.updated_at is 'When it last counted.';

create table retention.run_total (
  policy     text not null,
  mode       text not null check (mode in ('delete', 'dry_run')),
  outcome    text not null,
  runs       bigint not null default 0 check (runs >= 0),
  seconds    double precision not null default 0,
  buckets    bigint[] not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (policy, mode, outcome)
);
comment on table retention.run_total is 'Finished runs since the first one, with their durations as a histogram.';
comment on column retention.run_total.policy is 'The policy.';
comment on column retention.run_total.mode is 'delete or dry_run.';
comment on column retention.run_total.outcome is 'How they ended.';
comment on column retention.run_total.runs is 'How many.';
comment on column retention.run_total.seconds is 'What they took together.';
comment on column retention.run_total.buckets is 'Runs within each bound of retention.run_bounds(), not cumulated; the last is above all bounds.';
comment on column retention.run_total.created_at is 'When it first counted.';
comment on column retention.run_total.updated_at is 'When it last counted.';

create table retention.last_run (
  policy        text primary key,
  run           uuid not null references retention.run (id),
  started_at    timestamptz not null,
  finished_at   timestamptz not null,
  outcome       text not null,
  reason        text,
  seconds       double precision not null,
  sla_status    text,
  deleted       bigint not null,
  completed_at  timestamptz,
  drained_at    timestamptz,
  created_at    timestamptz not null default now(),
  updated_at    timestamptz not null default now()
);
create index last_run_run on retention.last_run (run);
comment on table retention.last_run is 'The latest finished deleting run of each policy, and when one last did its work.';
comment on column retention.last_run.policy is 'The policy.';
comment on column retention.last_run.run is 'The run.';
comment on column retention.last_run.started_at is 'When it began.';
comment on column retention.last_run.finished_at is 'When it ended.';
comment on column retention.last_run.outcome is 'How.';
comment on column retention.last_run.reason is 'Why it did not succeed.';
comment on column retention.last_run.seconds is 'How long it took.';
comment on column retention.last_run.sla_status is 'Against the allowed duration.';
comment on column retention.last_run.deleted is 'Rows it deleted.';
comment on column retention.last_run.completed_at is 'Start of the latest run that did its work: it succeeded, or was interrupted with its cursor kept. A skipped or failed run is none.';
comment on column retention.last_run.drained_at is 'End of the latest run that left nothing before its cutoff.';
comment on column retention.last_run.created_at is 'When the row was written.';
comment on column retention.last_run.updated_at is 'When the row last changed.';

create function retention.run_bounds() returns double precision[]
language sql immutable security invoker set search_path = pg_catalog, pg_temp as $$
  select array[0.5, 1, 2.5, 5, 10, 30, 60, 120, 240, 480, 780]::double precision[]
$$;
comment on function retention.run_bounds() is 'Upper bounds in seconds of the histogram of durations: from an idle run to the longest a function may take.';

create function retention.count_run(r retention.run) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  took double precision := coalesce(r.duration_seconds, 0);
  bounds constant double precision[] := retention.run_bounds();
  slot constant int := 1 + (select count(*) from unnest(bounds) b where took > b);
  zeros constant bigint[] := array_fill(0::bigint, array[cardinality(bounds) + 1]);
begin
  insert into retention.run_total (policy, mode, outcome, buckets) values (r.policy, r.mode, r.outcome, zeros)
    on conflict do nothing;
  update retention.run_total set runs = runs + 1, seconds = seconds + took, buckets[slot] = buckets[slot] + 1,
    updated_at = clock_timestamp() where policy = r.policy and mode = r.mode and outcome = r.outcome;
  if r.mode <> 'delete' then
    return;
  end if;
  insert into retention.deleted_total as t (policy, plan, deleted, bytes)
    select r.policy, e.key, (e.value->>'deleted')::bigint, coalesce((e.value->>'bytes')::numeric, 0)
    from jsonb_each(r.by_rule) e where (e.value->>'deleted')::bigint > 0 order by e.key
    on conflict (policy, plan) do update set deleted = t.deleted + excluded.deleted, bytes = t.bytes + excluded.bytes,
      updated_at = clock_timestamp();
  insert into retention.last_run as l (policy, run, started_at, finished_at, outcome, reason, seconds, sla_status,
      deleted, completed_at, drained_at)
    values (r.policy, r.id, r.started_at, r.finished_at, r.outcome, r.reason, took, r.sla_status, r.deleted,
      case when r.outcome = 'succeeded' or (r.outcome = 'interrupted'
        and coalesce(r.reason, '') not in ('lost', 'paused', 'fenced', 'lease')) then r.started_at end,
      case when r.outcome = 'succeeded' then r.finished_at end)
    on conflict (policy) do update set run = excluded.run, started_at = excluded.started_at,
      finished_at = excluded.finished_at, outcome = excluded.outcome, reason = excluded.reason,
      seconds = excluded.seconds, sla_status = excluded.sla_status, deleted = excluded.deleted,
      completed_at = greatest(l.completed_at, excluded.completed_at),
      drained_at = greatest(l.drained_at, excluded.drained_at), updated_at = clock_timestamp()
    where l.started_at <= excluded.started_at;
end $$;
comment on function retention.count_run(retention.run) is
  'Adds a finished run to the totals. Owner''s rights: the app can read the totals, and only the end of a run moves them.';

create function retention.run_counted() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform retention.count_run(new);
  return null;
end $$;
comment on function retention.run_counted() is 'Each run is counted once, in the transaction that ends it.';
create trigger lapse_totals_ended after update on retention.run for each row
  when (old.finished_at is null and new.finished_at is not null) execute function retention.run_counted();
create trigger lapse_totals_written after insert on retention.run for each row
  when (new.finished_at is not null) execute function retention.run_counted();

-- Runs from before this migration count too.
do $$
declare
  r retention.run;
begin
  for r in select * from retention.run where finished_at is not null order by started_at loop
    perform retention.count_run(r);
  end loop;
end $$;

grant select on retention.refund_intent, retention.order_step, retention.deleted_total, retention.run_total,
  retention.last_run to lapse_app;
grant insert, update on retention.refund_intent to lapse_app;
grant insert on retention.order_step to lapse_app;
revoke execute on function retention.run_bounds(), retention.count_run(retention.run), retention.run_counted() from public;
grant execute on function retention.run_bounds() to lapse_app;

-- Down Migration

drop trigger lapse_totals_written on retention.run;
drop trigger lapse_totals_ended on retention.run;
drop function retention.run_counted();
drop function retention.count_run(retention.run);
drop function retention.run_bounds();
drop table retention.last_run, retention.run_total, retention.deleted_total, retention.order_step, retention.refund_intent;
