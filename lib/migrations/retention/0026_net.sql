-- The net under the deletions: the database's own count of what a transaction deleted is held against its receipt,
-- and what the role of the app deletes outside a batch does not commit.

-- Up Migration

create table retention.batch_secret (
  only_row   boolean primary key default true check (only_row),
  secret     text not null default gen_random_uuid()::text || gen_random_uuid()::text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
insert into retention.batch_secret default values;
create trigger lapse_touch before update on retention.batch_secret for each row execute function retention.touch();
comment on table retention.batch_secret is 'One row, read by the functions of a batch only: with it they recognize what they have written themselves in this transaction.';
comment on column retention.batch_secret.only_row is 'Keeps this a table of one row.';
comment on column retention.batch_secret.secret is 'Random; never leaves the database. May be changed at any time between two batches.';
comment on column retention.batch_secret.created_at is 'When the row was written.';
comment on column retention.batch_secret.updated_at is 'When the row last changed.';

-- Unlogged, and without instants: its rows live no longer than their transaction.
create unlogged table retention.unconfirmed_deletion (
  id bigint generated always as identity primary key
);
comment on table retention.unconfirmed_deletion is 'One row a deleting statement, until its batch has confirmed its counts: one that is left at commit stops the commit.';
comment on column retention.unconfirmed_deletion.id is 'Order of writing.';

-- Down Migration

do $$
declare t record;
begin
  for t in select tgrelid::regclass as relation, tgname from pg_trigger
    where tgfoid = to_regprocedure('retention.guard_deletion()') and not tgisinternal loop
    execute format('drop trigger %I on %s', t.tgname, t.relation);
  end loop;
end $$;
drop table retention.unconfirmed_deletion;
drop table retention.batch_secret;
