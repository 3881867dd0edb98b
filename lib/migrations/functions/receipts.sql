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

-- The one way to write a receipt: called by the deleting statement, and by what drops a partition. A receipt is evidence of
-- one batch, so it is taken only in the transaction that has entered this very batch, of the run that may delete now, and
-- policy, version and actor are the run's own. The app's role calls it and cannot write the table. Nothing went: no
-- receipt, but for a partition, which leaves one also when it was empty.
create or replace function retention.write_receipt(
  r uuid, s int, act text, why text, counted_from timestamptz, of_table text, text_keys text[], keys_of_one_uuid uuid[],
  went_along jsonb, per_rule jsonb, locked_rows bigint, deleted_rows bigint, deleted_along bigint, queued_files bigint, file_bytes bigint,
  looked_at int, stayed jsonb, continues jsonb, whole_partition jsonb default null
) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  it record;
begin
  if deleted_rows + deleted_along = 0 and whole_partition is null then
    return;
  end if;
  if retention.entered(r, s) is null then
    raise exception 'lapse: this transaction has not entered batch % of run %', s, r using errcode = 'LP012';
  end if;
  select x.policy, x.policy_version, x.actor into it
    from retention.run x join retention.policy_state p on p.policy = x.policy and p.run_now = x.id
    where x.id = r and x.mode = 'delete' and x.finished_at is null;
  if not found then
    raise exception 'lapse: run % may not delete any more', r using errcode = 'LP012';
  end if;
  insert into retention.receipt (run, seq, policy, policy_version, action, actor, reason, as_of, table_name, keys, uuid_keys,
    dependants, by_rule, locked, deleted, dependants_deleted, files, bytes, picked, kept, cursor_after, partition)
  values (r, s, it.policy, it.policy_version, act, it.actor, why, counted_from, of_table, text_keys, keys_of_one_uuid,
    went_along, per_rule, locked_rows, deleted_rows, deleted_along, queued_files, file_bytes, looked_at, stayed, continues, whole_partition);
end $$;
comment on function retention.write_receipt(uuid, int, text, text, timestamptz, text, text[], uuid[], jsonb, jsonb, bigint, bigint, bigint, bigint, bigint, int, jsonb, jsonb, jsonb) is
  'Writes the receipt of a batch, in its transaction, under the policy, version and actor of the open, current run.';
