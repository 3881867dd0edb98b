-- Receipts: the keys they name, and their hashes.

-- Takes about 0.6 µs a key, so 15 ms of a receipt of 25,000.
create or replace function retention.uuids_of(bytes bytea) returns uuid[]
language sql immutable strict security invoker set search_path = pg_catalog, pg_temp as $$
  -- Joined to nothing, it is read once from where it is stored, not once a key.
  select array(
    select encode(substr(w.whole, n * 16 + 1, 16), 'hex')::uuid
    from (select bytes || ''::bytea as whole offset 0) w cross join generate_series(0, octet_length(w.whole) / 16 - 1) n
    order by n)
$$;
comment on function retention.uuids_of(bytea) is 'The uuids whose bytes these are, 16 each, in their order.';

-- Found where a key begins, not across two of them: an odd match is rare, and then each place is looked at once.
create or replace function retention.names_uuid(bytes bytea, key uuid) returns boolean
language plpgsql immutable strict security invoker set search_path = pg_catalog, pg_temp as $$
declare
  sought bytea := uuid_send(key);
  place int := position(sought in bytes);
begin
  if place % 16 = 1 or place = 0 then
    return place > 0;
  end if;
  return key = any(retention.uuids_of(bytes));
end $$;
comment on function retention.names_uuid(bytea, uuid) is 'Whether one of the uuids whose bytes these are, 16 each, is this one.';

create or replace function retention.keys_of(c retention.receipt) returns text[]
language sql stable security invoker set search_path = pg_catalog, pg_temp as $$
  select coalesce(c.keys, (case when c.key_bytes is null then c.uuid_keys else retention.uuids_of(c.key_bytes) end)::text[])
$$;
comment on function retention.keys_of(retention.receipt) is 'The keys a receipt names, as text, whichever column holds them.';

-- All fields in one expression, each as retention.audit_field writes it; a receipt without a partition, an archive or rows that lost a reference has one field less for each.
-- What form 3 takes for its keys no other form can give.
create or replace function retention.receipt_hash(c retention.receipt) returns bytea
language plpgsql stable security invoker set search_path = pg_catalog, pg_temp as $$
begin
  return (select sha256(convert_to(string_agg(octet_length(convert_to(f.value, 'UTF8')) || ':' || f.value || ',', '' order by f.n), 'UTF8'))
  from unnest(array[
    c.run::text, c.seq::text, c.policy, c.policy_version, c.action, c.actor, c.reason,
    to_char(c.as_of at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), c.table_name,
    case c.form when 1 then to_jsonb(c.keys)::text
      when 2 then encode(sha256(coalesce(array_send(c.uuid_keys), array_send(c.keys))), 'hex')
      else '3:' || encode(sha256(c.key_bytes), 'hex') end,
    c.dependants::text, c.by_rule::text, c.locked::text, c.deleted::text, c.dependants_deleted::text, c.files::text, c.bytes::text,
    c.picked::text, c.kept::text, to_char(c.committed_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), c.partition::text,
    'archive:' || c.archive::text, 'detached:' || c.detached::text
  ]) with ordinality f(value, n));
end $$;
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
  r uuid, s int, act text, why text, counted_from timestamptz, of_table text, text_keys text[], uuid_bytes bytea,
  went_along jsonb, per_rule jsonb, locked_rows bigint, deleted_rows bigint, deleted_along bigint, queued_files bigint, file_bytes bigint,
  looked_at int, stayed jsonb, continues jsonb, whole_partition jsonb default null
) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  it record;
begin
  if deleted_rows + deleted_along = 0 and whole_partition is null then
    -- Nothing went of what was to go: what the batch changed before would be in no receipt.
    if locked_rows > 0 then
      raise exception 'lapse: of % rows that were to go a trigger kept all', locked_rows using errcode = 'LP007';
    end if;
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
  insert into retention.receipt (run, seq, policy, policy_version, action, actor, reason, as_of, table_name, form, keys, key_bytes,
    dependants, by_rule, locked, deleted, dependants_deleted, files, bytes, picked, kept, cursor_after, partition, archive, detached)
  values (r, s, it.policy, it.policy_version, act, it.actor, why, counted_from, of_table,
    case when uuid_bytes is null then 2 else 3 end, text_keys, uuid_bytes,
    went_along, per_rule, locked_rows, deleted_rows, deleted_along, queued_files, file_bytes, looked_at, stayed, continues, whole_partition,
    nullif(current_setting('lapse.archive', true), '')::uuid,
    nullif(nullif(current_setting('lapse.detached', true), ''), '{}')::jsonb);
end $$;
comment on function retention.write_receipt(uuid, int, text, text, timestamptz, text, text[], bytea, jsonb, jsonb, bigint, bigint, bigint, bigint, bigint, int, jsonb, jsonb, jsonb) is
  'Writes the receipt of a batch, in its transaction, under the policy, version and actor of the open, current run.';
