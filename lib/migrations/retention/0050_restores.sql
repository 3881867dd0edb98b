-- Restores from archives: asked for by a named operator, confirmed by a second one where they reach far, and how far each is.

-- Up Migration

create table retention.restore (
  id           uuid primary key default gen_random_uuid(),
  scope        text not null check (scope in ('run', 'organization', 'item')),
  subject      text not null,
  policy       text,
  reason       text not null,
  state        text not null check (state in ('requested', 'confirmed', 'open', 'done', 'withdrawn')),
  rows_found   bigint not null check (rows_found >= 0),
  keep_until   timestamptz not null,
  requested_by text not null check (requested_by <> ''),
  requested_at timestamptz not null,
  confirmed_by text check (confirmed_by <> ''),
  confirmed_at timestamptz,
  finished_at  timestamptz,
  created_at   timestamptz not null default now(),
  updated_at   timestamptz not null default now(),
  constraint restore_second_person_check check (confirmed_by <> requested_by)
);
create unique index restore_open on retention.restore (scope, subject, coalesce(policy, '')) where state in ('requested', 'confirmed', 'open');
create trigger lapse_touch before update on retention.restore for each row execute function retention.touch();
comment on table retention.restore is 'What operators asked to bring back from archives, and what became of it. [confidential; kept: forever]';
comment on column retention.restore.id is 'The request.';
comment on column retention.restore.scope is 'run: all that a run deleted. organization: all of one. item: one row with what went along. [internal]';
comment on column retention.restore.subject is 'The run, the organization, or the key of the row. [confidential; personal: id of a person or organization; handling: evidence]';
comment on column retention.restore.policy is 'The policy that deleted it; null for an organization under all policies. [internal]';
comment on column retention.restore.reason is 'Why, in the words of the operator. [confidential; personal: words of an operator; handling: free text]';
comment on column retention.restore.state is 'requested: waits for a second operator. confirmed: may begin. open: begun. done. withdrawn. [internal]';
comment on column retention.restore.rows_found is 'Rows it reached when it was asked for.';
comment on column retention.restore.keep_until is 'Until when no policy takes the restored rows again.';
comment on column retention.restore.requested_by is 'The operator who asked. [confidential; personal: name of an operator; handling: evidence]';
comment on column retention.restore.requested_at is 'When.';
comment on column retention.restore.confirmed_by is 'The second operator; null where none was needed. [confidential; personal: name of an operator; handling: evidence]';
comment on column retention.restore.confirmed_at is 'When.';
comment on column retention.restore.finished_at is 'When all of it had been brought back.';
comment on column retention.restore.created_at is 'When the row was written.';
comment on column retention.restore.updated_at is 'When the row last changed.';
comment on index retention.restore_open is 'One restore of one thing at a time: asking twice is asking once.';

create table retention.restore_part (
  restore    uuid not null references retention.restore (id),
  archive    uuid not null references retention.archive (id),
  counts     jsonb not null check (jsonb_typeof(counts) = 'object'),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (restore, archive)
);
create index restore_part_archive on retention.restore_part (archive);
create trigger lapse_touch before update on retention.restore_part for each row execute function retention.touch();
comment on table retention.restore_part is 'Archives from which a restore has brought back what it wanted. [internal; kept: forever]';
comment on column retention.restore_part.restore is 'The restore.';
comment on column retention.restore_part.archive is 'The archive.';
comment on column retention.restore_part.counts is 'Rows and files by what became of them. [internal]';
comment on column retention.restore_part.created_at is 'When it was through.';
comment on column retention.restore_part.updated_at is 'When the row last changed.';
comment on index retention.restore_part_archive is 'Foreign key to the archive.';

grant select on retention.restore, retention.restore_part to lapse_app;

-- Down Migration

drop table retention.restore_part;
drop table retention.restore;
