-- What an erasure retained on a ground comes to its end one day, long after the request is done: somebody has to be told then.

-- Up Migration

alter table retention.erasure add column retained_until timestamptz, add column retained_told_at timestamptz;
comment on column retention.erasure.retained_until is
  'When the first of what was retained comes to the end that the data map states; null: nothing does by itself, or it is not done. [internal]';
comment on column retention.erasure.retained_told_at is 'When people were told that it has. [internal]';
create index erasure_retained on retention.erasure (retained_until) where retained_until is not null and retained_told_at is null;
comment on index retention.erasure_retained is 'The next end of what was retained.';
create index archive_subject_dead on retention.archive_subject using hash (subject) where erased_at is not null;
comment on index retention.archive_subject_dead is 'The archives that held rows of somebody who was erased.';

-- Down Migration

drop function if exists retention.note_retained_end(uuid);
update retention.applied_functions set sha256 = '';
drop index retention.archive_subject_dead;
drop index retention.erasure_retained;
alter table retention.erasure drop column retained_told_at, drop column retained_until;
