-- What Lapse takes from PUBLIC in this database (functions/rights.sql), so that removing Lapse can give it back.

-- Up Migration

create table retention.taken_right (
  what       text primary key check (what in ('temporary on the database', 'create in schema public')),
  created_at timestamptz not null default now()
);
comment on table retention.taken_right is 'Rights that PUBLIC had in this database before Lapse came.';
comment on column retention.taken_right.what is 'The right that was taken.';
comment on column retention.taken_right.created_at is 'When it was taken.';

-- Down Migration

select retention.give_back_rights();
drop table retention.taken_right;
-- So that going up takes them again.
update retention.applied_functions set sha256 = '';
