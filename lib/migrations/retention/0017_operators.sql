-- What operators name. A subject of a hold is whatever a key can be: empty, or as long as an index entry of the held
-- table allows; an entry of an ordinary index of ours, which holds the scope as well, would not have room for the
-- longest. And permanent tables, of which an operator may remove one row at a time.

-- Up Migration

alter table retention.hold drop constraint hold_subject_check;
drop index retention.hold_in_force;
create index hold_in_force on retention.hold using hash (subject) where released_at is null;
comment on column retention.hold.subject is
  'Id of the organization or user, or the key of the item, exactly as PostgreSQL prints it in the column it is compared with.';

create table retention.permanent_table (
  table_name  text primary key,
  key_columns text[] not null check (cardinality(key_columns) > 0),
  created_at  timestamptz not null default now(),
  updated_at  timestamptz not null default now()
);
comment on table retention.permanent_table is
  'Owner''s permission: tables nothing may ever expire, of which an operator may remove one row by its key, on the record.';
comment on column retention.permanent_table.table_name is 'The table, schema.name.';
comment on column retention.permanent_table.key_columns is
  'Its key. What an operator names stands in the audit chain for good: an id, never an address.';
comment on column retention.permanent_table.created_at is 'When it was first permitted.';
comment on column retention.permanent_table.updated_at is 'When it last changed.';
create trigger lapse_touch before update on retention.permanent_table for each row execute function retention.touch();
grant select on retention.permanent_table to lapse_app;

-- Down Migration

drop table retention.permanent_table;
drop index retention.hold_in_force;
create index hold_in_force on retention.hold (scope, subject) where released_at is null;
alter table retention.hold add constraint hold_subject_check check (subject <> '') not valid;
comment on column retention.hold.subject is 'Id of the organization or user, or the key of the item, as text.';
