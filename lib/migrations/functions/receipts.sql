-- Receipts: the keys they name, and their hashes.

create or replace function retention.keys_of(c retention.receipt) returns text[]
language sql stable security invoker set search_path = pg_catalog, pg_temp as $$
  select coalesce(c.keys, c.uuid_keys::text[])
$$;
comment on function retention.keys_of(retention.receipt) is 'The keys a receipt names, as text, whichever column holds them.';

-- Receipts without a partition hash as they always did.
create or replace function retention.receipt_hash(c retention.receipt) returns bytea
language sql stable security invoker set search_path = pg_catalog, pg_temp as $$
  select sha256(convert_to(
    retention.audit_field(c.run::text) || retention.audit_field(c.seq::text) || retention.audit_field(c.policy)
    || retention.audit_field(c.policy_version) || retention.audit_field(c.action) || retention.audit_field(c.actor)
    || retention.audit_field(c.reason)
    || retention.audit_field(to_char(c.as_of at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
    || retention.audit_field(c.table_name)
    || retention.audit_field(case when c.form = 1 then to_jsonb(c.keys)::text
      else encode(sha256(coalesce(array_send(c.uuid_keys), array_send(c.keys))), 'hex') end)
    || retention.audit_field(c.dependants::text) || retention.audit_field(c.by_rule::text)
    || retention.audit_field(c.locked::text) || retention.audit_field(c.deleted::text)
    || retention.audit_field(c.dependants_deleted::text) || retention.audit_field(c.files::text)
    || retention.audit_field(c.bytes::text) || retention.audit_field(c.picked::text) || retention.audit_field(c.kept::text)
    || retention.audit_field(to_char(c.committed_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
    || coalesce(retention.audit_field(c.partition::text), ''), 'UTF8'))
$$;
comment on function retention.receipt_hash(retention.receipt) is 'SHA-256 over a receipt, fields in fixed order; the cursor, which is no evidence, is left out.';

create or replace function retention.hash_receipt() returns trigger
language plpgsql security invoker set search_path = pg_catalog, pg_temp as $$
begin
  new.hash := retention.receipt_hash(new);
  return new;
end $$;
comment on function retention.hash_receipt() is 'Hashes a receipt when it is written.';

-- Naming a row as a whole reads all its keys: only where there is no hash.
create or replace function retention.run_digest(r uuid, out receipts bigint, out last_seq int, out deleted numeric, out digest text, out gaps jsonb)
language sql stable security invoker set search_path = pg_catalog, pg_temp as $$
  select count(*), coalesce(max(c.seq), 0), coalesce(sum(c.deleted), 0),
    encode(sha256(coalesce(string_agg(coalesce(c.hash, (select retention.receipt_hash(x) from retention.receipt x where x.id = c.id)), ''::bytea order by c.seq), ''::bytea)), 'hex'),
    (
      select coalesce(jsonb_agg(g.seq order by g.seq), '[]')
      from generate_series(1, (select max(seq) from retention.receipt where run = r)) g(seq)
      where not exists (select 1 from retention.receipt x where x.run = r and x.seq = g.seq)
    )
  from retention.receipt c where c.run = r
$$;
comment on function retention.run_digest(uuid) is
  'One hash over all receipts of a run, in their order; gaps are numbers whose batch deleted nothing, as lanes may leave.';

-- A receipt is evidence of one batch: the app writes it in the transaction that has entered this very batch, of the run
-- that may delete now, under the run's own policy, version and actor. Into a finished run nobody writes one.
create or replace function retention.admit_receipt() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if pg_has_role(session_user, (select relowner from pg_class where oid = tg_relid), 'USAGE') then
    return new;
  end if;
  if retention.entered(new.run, new.seq) is null then
    raise exception 'lapse: this transaction has not entered batch % of run %', new.seq, new.run using errcode = 'LP012';
  end if;
  if not exists (
    select 1 from retention.run r join retention.policy_state s on s.policy = r.policy and s.run_now = r.id
    where r.id = new.run and r.mode = 'delete' and r.finished_at is null
      and r.policy = new.policy and r.policy_version = new.policy_version and r.actor = new.actor
  ) then
    raise exception 'lapse: a receipt names policy, version and actor of the run that is open' using errcode = 'LP012';
  end if;
  return new;
end $$;
comment on function retention.admit_receipt() is 'A receipt only for the open, current run, in the transaction of its batch.';
create or replace trigger lapse_admit before insert on retention.receipt for each row execute function retention.admit_receipt();
