-- Messages to organizations before their rows go. A message is claimed before it is sent, so that no two are about the same
-- rows; what a policy that requires it goes by is written when the mail server has taken it.

-- The message to send, or null: another instance is sending it, it is not to be tried again yet, or what it would say has
-- been said. Of an attempt that failed, or of which no answer came, the same message with what it has to say now.
create or replace function retention.claim_notice(whose text, whom text, needed boolean, parts jsonb, lease_seconds int) returns uuid
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  claimed uuid;
begin
  insert into retention.notice as n (tenant, recipient, required, claimed_until)
    values (whose, whom, needed, retention.clock() + make_interval(secs => lease_seconds))
    on conflict (tenant) where state = 'open' do update set recipient = excluded.recipient, required = excluded.required,
      attempts = n.attempts + 1, sending = true, error = null,
      -- Twice as long each time, to a day: who is perhaps told and breaks the line each time is not written to every hour.
      claimed_until = retention.clock() + make_interval(secs => least(lease_seconds * 2 ^ least(n.attempts, 10), 86400))
      where n.claimed_until <= retention.clock()
    returning n.id into claimed;
  if claimed is null then
    return null;
  end if;
  -- In a statement of its own, behind the claim: what another instance has said meanwhile is seen.
  if exists (
    select 1 from jsonb_to_recordset(parts) x(policy text, threshold_days int, keep_seconds bigint, since timestamptz)
    join retention.notice_part s on s.policy = x.policy and s.tenant = whose and s.threshold_days = x.threshold_days
      and s.keep_seconds = x.keep_seconds and s.announced_at is not null and s.before > x.since
  ) then
    delete from retention.notice where id = claimed;
    return null;
  end if;
  delete from retention.notice_part where notice = claimed;
  insert into retention.notice_part (notice, policy, tenant, threshold_days, keep_seconds, since, before, found, digest, goes_at, keep_until)
    select claimed, x.policy, whose, x.threshold_days, x.keep_seconds, x.since, x.before, x.found, x.digest, x.goes_at, x.keep_until
    from jsonb_to_recordset(parts) x(policy text, threshold_days int, keep_seconds bigint, since timestamptz, before timestamptz,
      found bigint, digest text, goes_at timestamptz, keep_until timestamptz);
  return claimed;
end $$;
comment on function retention.claim_notice(text, text, boolean, jsonb, int) is
  'Claims the message to an organization before it is sent; null: somebody else has, or it has been said.';

-- `failure` null: the mail server took it. Else it certainly did not, and is asked again after some seconds.
create or replace function retention.settle_notice(n uuid, failure text, retry_seconds int) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  at timestamptz := retention.clock();
begin
  if failure is not null then
    update retention.notice set sending = false, error = failure, claimed_until = at + make_interval(secs => retry_seconds)
      where id = n and state = 'open';
    return found;
  end if;
  update retention.notice set state = 'delivered', sending = false, error = null, settled_at = at where id = n and state = 'open';
  if not found then
    return false;
  end if;
  update retention.notice_part set announced_at = at, delivered_at = at where notice = n;
  return true;
end $$;
comment on function retention.settle_notice(uuid, text, int) is 'Records that a message was delivered, or that it was not; false: it was settled before.';

-- A claim that ran out without an answer: the message may have been sent. One that no policy requires is not sent a second
-- time; one that is required counts as not delivered, and is claimed again.
create or replace function retention.give_up_notices() returns bigint
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  at timestamptz := retention.clock();
  n bigint;
begin
  with lost as (
    update retention.notice set state = 'unsure', sending = false, settled_at = at
      where state = 'open' and sending and not required and claimed_until <= at returning id
  ), said as (
    update retention.notice_part p set announced_at = at from lost where p.notice = lost.id
  )
  select count(*) into n from lost;
  return n;
end $$;
comment on function retention.give_up_notices() is 'Settles messages that may have been sent and that no policy requires.';

-- What the recipient of a message may do about it: keep its rows until the day that the message names and not longer, once.
create or replace function retention.extend_by_notice(link uuid, until timestamptz, n uuid, p text, threshold int, relation text, items text[])
returns text language plpgsql volatile security definer set search_path = pg_catalog, pg_temp set timezone = 'UTC' as $$
declare
  refused text := retention.use_link(link, 'notice.extend', until);
  why constant text := 'asked for by the link of a notice';
  kept_until timestamptz;
begin
  if refused is not null then
    return refused;
  end if;
  select x.keep_until into kept_until from retention.notice_part x
    where x.notice = n and x.policy = p and x.threshold_days = threshold and x.keep_until is not null;
  if not found then
    raise exception 'lapse: this notice keeps nothing' using errcode = '22023';
  end if;
  insert into retention.extension as x (table_name, row_key, keep_until, reason, extended_by)
    select relation, i, kept_until, why, 'recipient:' || n from unnest(items) i order by i
    on conflict (table_name, row_key) do update set keep_until = excluded.keep_until, reason = excluded.reason, extended_by = excluded.extended_by
      where x.keep_until < excluded.keep_until;
  perform retention.record('recipient:' || n, 'extension.set', relation || ' ' || x.row_key, why, jsonb_build_object('keep_until', x.keep_until))
    from retention.extension x where x.table_name = relation and x.row_key = any(items) and x.extended_by = 'recipient:' || n;
  return null;
end $$;
comment on function retention.extend_by_notice(uuid, timestamptz, uuid, text, int, text, text[]) is
  'Keeps the rows of a notice until the day it named, each with its entry of the chain; or why the link does nothing.';

create or replace function retention.stop_notices(link uuid, until timestamptz, whose text, whom text) returns text
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  refused text := retention.use_link(link, 'notice.unsubscribe', until);
begin
  if refused is null then
    insert into retention.notice_stop (tenant, recipient, link) values (whose, whom, link) on conflict do nothing;
  end if;
  return refused;
end $$;
comment on function retention.stop_notices(uuid, timestamptz, text, text) is
  'Sends a recipient only what is required from now on; or why the link does nothing.';
