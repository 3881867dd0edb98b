-- Each receipt is hashed when it is written: sealing a run of millions of rows costs as little as sealing a small
-- one, and the end of a run can never run out of time over it.

-- Up Migration

alter table retention.receipt add column hash bytea;
comment on column retention.receipt.hash is 'SHA-256 over the fields, taken when it was written; a verification takes it anew from the fields.';

create function retention.hash_receipt() returns trigger
language plpgsql security invoker set search_path = pg_catalog, pg_temp as $$
begin
  new.hash := retention.receipt_hash(new);
  return new;
end $$;
comment on function retention.hash_receipt() is 'Hashes a receipt when it is written.';
create trigger lapse_hash before insert on retention.receipt for each row execute function retention.hash_receipt();

create or replace function retention.run_digest(r uuid, out receipts bigint, out last_seq int, out deleted numeric, out digest text, out gaps jsonb)
language sql stable security invoker set search_path = pg_catalog, pg_temp as $$
  select count(*), coalesce(max(c.seq), 0), coalesce(sum(c.deleted), 0),
    encode(sha256(coalesce(string_agg(coalesce(c.hash, retention.receipt_hash(c)), ''::bytea order by c.seq), ''::bytea)), 'hex'),
    (
      select coalesce(jsonb_agg(g.seq order by g.seq), '[]')
      from generate_series(1, (select max(seq) from retention.receipt where run = r)) g(seq)
      where not exists (select 1 from retention.receipt x where x.run = r and x.seq = g.seq)
    )
  from retention.receipt c where c.run = r
$$;

revoke execute on function retention.hash_receipt() from public;
grant execute on function retention.hash_receipt() to lapse_app;

-- Down Migration

create or replace function retention.run_digest(r uuid, out receipts bigint, out last_seq int, out deleted numeric, out digest text, out gaps jsonb)
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

drop trigger lapse_hash on retention.receipt;
drop function retention.hash_receipt();
alter table retention.receipt drop column hash;
