-- Refunds of orders in review. Intents are written here and nowhere else, each with its entry in the audit chain. Lock
-- (7002, 1): one claim at a time, so that caps hold. Lock (7002, 2): shared by who is about to ask for money to go back,
-- exclusive for a stop.

create or replace function retention.refunds_stopped() returns text
language sql stable security invoker set search_path = pg_catalog, pg_temp as $$
  select case
    when coalesce((select k.stopped from retention.kill_switch k), true) then 'stopped'
    when exists (select from retention.policy_state s where s.policy = 'order-review-sla' and s.paused) then 'paused'
  end
$$;
comment on function retention.refunds_stopped() is 'Why no refund may be claimed or made now; null when it may.';

-- When the stop has answered, nothing is being asked of the provider: a request under way is waited for.
create or replace function retention.await_refunds() returns trigger
language plpgsql volatile security invoker set search_path = pg_catalog, pg_temp as $$
begin
  perform pg_advisory_xact_lock(7002, 2);
  while exists (select from retention.refund_intent where asking_until > clock_timestamp()) loop
    perform pg_sleep(0.02);
  end loop;
  return new;
end $$;
comment on function retention.await_refunds() is 'Row trigger of a stop and of a pause of the order review: waits for refunds that are being asked for, twelve seconds at most.';
create or replace trigger lapse_refunds before insert or update on retention.kill_switch
  for each row when (new.stopped) execute function retention.await_refunds();
create or replace trigger lapse_refunds before insert or update on retention.policy_state
  for each row when (new.paused and new.policy = 'order-review-sla') execute function retention.await_refunds();

-- What a refund may be at most, against the sum of a day in its currency: of the watch's and of operators' together.
create or replace function retention.refund_over(amount bigint, day numeric, cap jsonb) returns text
language sql immutable security invoker set search_path = pg_catalog, pg_temp as $$
  select case when cap is null then 'no_cap' when amount > (cap ->> 'one')::bigint then 'amount_cap'
    when day > (cap ->> 'day')::bigint then 'daily_cap' end
$$;
comment on function retention.refund_over(bigint, numeric, jsonb) is 'Which cap of its currency a refund is above; null for none.';

create or replace function retention.claim_refunds(
  claims jsonb, caps jsonb, who text, why text, at timestamptz, can_pay boolean, steps jsonb
) returns table (order_key text, state text, refused_because text)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  -- What is above the caps waits for another operator than this one. Neither login claims in the other's name.
  if not pg_has_role(session_user, case when who = 'order-review-sla' then 'lapse_app' else 'lapse_operator' end, 'MEMBER') then
    raise exception 'lapse: % may not claim refunds as "%"', session_user, who using errcode = '42501';
  end if;
  if who <> 'order-review-sla' then
    perform retention.prove_operator(who);
  end if;
  perform pg_advisory_xact_lock(7002, 1);
  -- Not waited for: a stop that has it waits for those who are asking.
  if not pg_try_advisory_xact_lock_shared(7002, 2) or retention.refunds_stopped() is not null then
    return;
  end if;
  return query with due as (
    select * from jsonb_to_recordset(claims) x(n int, order_key text, payment text, amount bigint, currency text, due_at timestamptz)
  ), spent as (
    select i.currency, sum(i.amount) as amount from retention.refund_intent i
    where i.claimed_at > at - interval '24 hours' and i.state not in ('manual', 'closed') group by i.currency
  ), summed as (
    select d.*, coalesce(s.amount, 0) + sum(case when d.payment is not null and retention.refund_over(d.amount, 0, caps -> d.currency) is null
        then d.amount else 0 end) over (partition by d.currency order by d.n) as day
    from due d left join spent s using (currency)
  ), judged as (
    select x.*, case when x.payment is null then 'no_payment' when not can_pay then 'no_provider' when o.over is null then null
      when who = 'order-review-sla' then o.over else 'second_operator' end as refused
    from summed x cross join lateral (
      -- One that is above the cap of one has not been added to the day.
      select coalesce(retention.refund_over(x.amount, 0, caps -> x.currency), retention.refund_over(x.amount, x.day, caps -> x.currency)) as over
    ) o
  ), intended as (
    insert into retention.refund_intent as i (order_key, payment, amount, currency, requested_by, reason, state, refused_because,
      next_attempt_at, claimed_at)
    select j.order_key, j.payment, j.amount, j.currency, who, why, case when j.refused is null then 'pending' else 'manual' end,
      j.refused, at, at from judged j order by j.n
    on conflict (order_key) do update set payment = excluded.payment, amount = excluded.amount, currency = excluded.currency,
        requested_by = excluded.requested_by, reason = excluded.reason, state = excluded.state,
        refused_because = excluded.refused_because, next_attempt_at = excluded.next_attempt_at,
        claimed_at = excluded.claimed_at, key_generation = i.key_generation + 1, refund_id = null, lease = null,
        leased_until = null, settled_at = null, confirmed_by = null, confirmation = null, asking_until = null
      where i.state in ('manual', 'closed')
    returning i.order_key, i.id, i.state, i.refused_because
  ), known as (
    -- An order that is here again although it has its refund, or has one under way: it gets no other.
    select j.n, j.order_key, coalesce(f.id, i.id) as id, coalesce(f.state, i.state) as state, f.refused_because, j.due_at,
      j.amount, j.currency, f.id is not null as fresh
    from judged j left join intended f using (order_key) left join retention.refund_intent i using (order_key)
  ), stepped as (
    insert into retention.order_step (order_key, due_at, step, taken_at)
    select k.order_key, k.due_at, x, at from known k cross join jsonb_array_elements_text(steps) x on conflict do nothing
  ), audited as (
    insert into retention.audit_entry (actor, action, subject, reason, detail)
    select who, case when not k.fresh then 'refund.known' when k.refused_because = 'second_operator' then 'refund.requested'
        when k.state = 'manual' then 'refund.refused' else 'refund.claimed' end, k.order_key, why,
      jsonb_strip_nulls(jsonb_build_object('intent', k.id, 'amount', k.amount, 'currency', k.currency,
        'refused_because', k.refused_because, 'due_at', k.due_at)) from known k order by k.n
  )
  select k.order_key, k.state, k.refused_because from known k;
end $$;
comment on function retention.claim_refunds(jsonb, jsonb, text, text, timestamptz, boolean, jsonb) is
  'Writes the one refund each order can have, within the caps of its currency or for a person to decide; nothing while refunds are stopped.';

create or replace function retention.confirm_refund(intent uuid, who text, why text, at timestamptz, proof text)
returns table (order_key text, entry bigint, detail jsonb)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  perform retention.prove_operator(who);
  perform pg_advisory_xact_lock(7002, 1);
  -- Not waited for: a stop that has it waits for those who are asking.
  if not pg_try_advisory_xact_lock_shared(7002, 2) or retention.refunds_stopped() is not null then
    return;
  end if;
  return query with confirmed as (
    update retention.refund_intent i set state = 'pending', refused_because = null, confirmed_by = who, confirmation = proof,
      claimed_at = at, next_attempt_at = at
    where i.id = intent and i.state = 'manual' and i.refused_because = 'second_operator' and i.requested_by <> who
    returning i.id, i.order_key, i.amount, i.currency, i.requested_by
  )
  insert into retention.audit_entry as a (actor, action, subject, reason, detail)
  select who, 'refund.confirmed', c.order_key, why, jsonb_build_object('intent', c.id, 'amount', c.amount, 'currency', c.currency,
    'requested_by', c.requested_by) from confirmed c
  returning a.subject, a.n, a.detail;
end $$;
comment on function retention.confirm_refund(uuid, text, text, timestamptz, text) is
  'A second operator lets a refund above the caps go; nothing for the one who asked for it.';

create or replace function retention.lease_refunds(token uuid, at timestamptz, until timestamptz, most int, caps jsonb)
returns table (id uuid, order_key text, payment text, amount bigint, currency text, key_generation int, refund_id text, attempts int,
  requested_by text, confirmed_by text, confirmation text, over text)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  if retention.refunds_stopped() is not null then
    return;
  end if;
  return query with due as (
    select i.id from retention.refund_intent i
    where i.state in ('pending', 'submitted') and i.next_attempt_at <= at and (i.leased_until is null or i.leased_until <= at)
    order by i.next_attempt_at, i.id limit most for update skip locked
  ), leased as (
    update retention.refund_intent i set lease = token, leased_until = until, attempts = i.attempts + 1
    from due where i.id = due.id returning i.*
  ), days as (
    -- Once more against the caps of who pays: those of the claim may have been anyone's.
    select i.id, sum(i.amount) over (partition by i.currency order by i.claimed_at
      range between interval '23:59:59.999999' preceding and current row) as day
    from retention.refund_intent i
    where i.state not in ('manual', 'closed') and i.claimed_at > (select min(l.claimed_at) from leased l) - interval '24 hours'
  )
  select l.id, l.order_key, l.payment, l.amount, l.currency, l.key_generation, l.refund_id, l.attempts, l.requested_by,
    l.confirmed_by, l.confirmation, retention.refund_over(l.amount, d.day, caps -> l.currency)
  from leased l left join days d using (id) order by l.next_attempt_at, l.id;
end $$;
comment on function retention.lease_refunds(uuid, timestamptz, timestamptz, int, jsonb) is
  'Leases a watch the refunds that are due, for a time; nothing while refunds are stopped.';

-- Committed before the provider is asked: a stop after this waits for the answer, a stop before it is obeyed.
create or replace function retention.may_refund(intent uuid, token uuid, seconds int) returns text
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  why text;
begin
  if not pg_try_advisory_xact_lock_shared(7002, 2) then
    return 'stopped';
  end if;
  why := retention.refunds_stopped();
  if why is not null then
    return why;
  end if;
  update retention.refund_intent set asking_until = clock_timestamp() + make_interval(secs => least(seconds, 12))
    where id = intent and lease = token and state = 'pending';
  return case when found then null else 'lease_over' end;
end $$;
comment on function retention.may_refund(uuid, uuid, int) is
  'Null: the provider may be asked within so many seconds. Else why not: stopped, paused, lease_over.';

create or replace function retention.settle_refunds(token uuid, at timestamptz, endings jsonb)
returns table (id uuid, order_key text, state text, refund_id text)
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  return query with ended as (
    select * from jsonb_to_recordset(endings) as x(id uuid, state text, refund_id text, refused_because text, error_class text,
      key_generation int, next_attempt_at timestamptz, unanswered boolean)
  ), before as (
    select i.id, i.state from retention.refund_intent i join ended e using (id)
    where i.lease = token and i.state in ('pending', 'submitted') order by i.id for update of i
  ), settled as (
    update retention.refund_intent i set state = e.state, refund_id = e.refund_id, refused_because = e.refused_because,
      error_class = e.error_class, key_generation = e.key_generation, next_attempt_at = e.next_attempt_at, lease = null,
      leased_until = null, settled_at = case when e.state = 'succeeded' then at end,
      -- An answer that was lost may still come true.
      asking_until = case when e.unanswered then i.asking_until end
    from ended e join before b using (id) where i.id = e.id
    returning i.id, i.order_key, i.state, i.refund_id, i.refused_because, i.error_class, i.attempts, i.amount, i.currency,
      b.state as before
  ), audited as (
    insert into retention.audit_entry (actor, action, subject, reason, detail)
    select 'order-review-sla', case s.state when 'succeeded' then 'refund.succeeded' when 'manual' then 'refund.refused'
        when 'submitted' then 'refund.submitted' else 'refund.unsettled' end,
      s.order_key, coalesce(s.refused_because, s.error_class, ''), jsonb_strip_nulls(jsonb_build_object('intent', s.id,
        'refund', s.refund_id, 'amount', s.amount, 'currency', s.currency, 'attempts', s.attempts))
    from settled s where s.state <> s.before or s.attempts = 1
  )
  select s.id, s.order_key, s.state, s.refund_id from settled s;
end $$;
comment on function retention.settle_refunds(uuid, timestamptz, jsonb) is
  'Writes what became of the refunds this watch still holds the lease of; others are left as they are.';

create or replace function retention.take_step(step text, told jsonb, at timestamptz, orders jsonb) returns int
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  n int;
begin
  with taken as (
    insert into retention.order_step as o (order_key, due_at, step, taken_at)
    select x.order_key, x.due_at, take_step.step, at from jsonb_to_recordset(orders) x(order_key text, due_at timestamptz)
    on conflict do nothing returning o.order_key, o.due_at
  ), audited as (
    insert into retention.audit_entry (actor, action, subject, reason, detail)
    select 'order-review-sla', 'order.escalated', t.order_key, take_step.step, jsonb_build_object('due_at', t.due_at, 'told', told)
    from taken t
  )
  select count(*) into n from taken;
  return n;
end $$;
comment on function retention.take_step(text, jsonb, timestamptz, jsonb) is
  'Takes an escalation step of these orders, each once for a deadline; gives how many.';

-- An order that a person resolved has no refund waiting for one any more.
create or replace function retention.resolve_order(order_ text, who text, why text, at timestamptz, about jsonb) returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  entry bigint;
begin
  perform retention.prove_operator(who);
  update retention.refund_intent set state = 'closed', settled_at = at where order_key = order_ and state = 'manual';
  insert into retention.audit_entry (actor, action, subject, reason, detail) values (who, 'order.resolved', order_, why, about)
    returning n into entry;
  return entry;
end $$;
comment on function retention.resolve_order(text, text, text, timestamptz, jsonb) is
  'Closes the refund that waited for a person, and writes the entry of the decision.';

create or replace function retention.extend_order(order_ text, who text, why text, about jsonb) returns bigint
language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
  select retention.prove_operator(who);
  insert into retention.audit_entry (actor, action, subject, reason, detail) values (who, 'order.extended', order_, why, about) returning n
$$;
comment on function retention.extend_order(text, text, text, jsonb) is 'Writes the entry of a later deadline, in the statement that sets it.';
