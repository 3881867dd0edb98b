-- A subject is whatever a key can be: empty, or as long as an index entry of the held table allows. An entry of
-- an ordinary index of ours, which holds the scope as well, would not have room for the longest.

-- Up Migration

alter table retention.hold drop constraint hold_subject_check;
drop index retention.hold_in_force;
create index hold_in_force on retention.hold using hash (subject) where released_at is null;
comment on column retention.hold.subject is
  'Id of the organization or user, or the key of the item, exactly as PostgreSQL prints it in the column it is compared with.';

-- Down Migration

drop index retention.hold_in_force;
create index hold_in_force on retention.hold (scope, subject) where released_at is null;
alter table retention.hold add constraint hold_subject_check check (subject <> '') not valid;
comment on column retention.hold.subject is 'Id of the organisation or user, or the key of the item, as text.';
