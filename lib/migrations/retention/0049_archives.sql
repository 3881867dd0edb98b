-- Archives: what a row was, kept in the private store before it is deleted, for a period of its own.

-- Up Migration

alter table retention.receipt add column archive uuid;
comment on column retention.receipt.archive is
  'The archive that holds the rows as they were; null where the policy archives nothing. [internal]';

create table retention.archive (
  id              uuid primary key,
  policy          text not null,
  policy_version  text not null,
  run             uuid not null,
  seq             int not null,
  table_name      text not null,
  prefix          text not null check (prefix ~ '^archives/.+/$'),
  state           text not null default 'open' check (state in ('open', 'kept', 'expired', 'discarded')),
  manifest_sha256 text check (manifest_sha256 ~ '^[0-9a-f]{64}$'),
  rows            bigint not null default 0,
  dependants      bigint not null default 0,
  files           bigint not null default 0,
  bytes           bigint not null default 0,
  dead_rows       bigint not null default 0,
  keys            text[] not null default '{}',
  paths           text[] not null default '{}',
  generation      int not null default 1,
  expires_at      timestamptz,
  created_at      timestamptz not null default now(),
  updated_at      timestamptz not null default now(),
  constraint archive_named check (state not in ('kept', 'expired') or (manifest_sha256 is not null and cardinality(paths) > 0))
);
create index archive_run on retention.archive (run, seq);
create index archive_expires on retention.archive (expires_at) where state = 'kept';
create index archive_open on retention.archive (created_at) where state = 'open';
create index archive_policy on retention.archive (policy, created_at);
create index archive_dead on retention.archive (updated_at) where state = 'kept' and dead_rows > 0;
create trigger lapse_touch before update on retention.archive for each row execute function retention.touch();

comment on table retention.archive is 'What each batch archived before it deleted: where it lies, what proves it, until when it is kept. [confidential; kept: forever]';
comment on column retention.archive.id is 'The archive.';
comment on column retention.archive.policy is 'The policy whose rows it holds. [internal]';
comment on column retention.archive.policy_version is 'Fingerprint of its declaration. [internal]';
comment on column retention.archive.run is 'The run that wrote it.';
comment on column retention.archive.seq is 'The batch within the run.';
comment on column retention.archive.table_name is 'The table of the rows, as <schema>.<table>. [internal]';
comment on column retention.archive.prefix is 'Where it lies in the store. [internal]';
comment on column retention.archive.state is
  'open: being written, no receipt names it; kept: a receipt names it; expired: its period is over, its files go through the outbox; discarded: its batch never deleted. [internal]';
comment on column retention.archive.manifest_sha256 is 'SHA-256 of its manifest, by which all of it is proved. [internal]';
comment on column retention.archive.rows is 'Rows of the governed table in it.';
comment on column retention.archive.dependants is 'Rows of dependants in it.';
comment on column retention.archive.files is 'Files in it.';
comment on column retention.archive.bytes is 'Its size in the store.';
comment on column retention.archive.dead_rows is 'Rows in it that were erased since: never restored, and gone with the next rewriting.';
comment on column retention.archive.keys is 'Keys of the rows that were deleted under it: what can be restored from it. [confidential; personal: key of a row; handling: pseudonym]';
comment on column retention.archive.paths is 'All of its files in the store. [internal]';
comment on column retention.archive.generation is 'How often it was written: 1 until it is rewritten without erased rows.';
comment on column retention.archive.expires_at is 'Until when it is kept; null keeps it forever.';
comment on column retention.archive.created_at is 'When it was begun.';
comment on column retention.archive.updated_at is 'When the row last changed.';
comment on index retention.archive_run is 'The archive of one batch; all of one run.';
comment on index retention.archive_expires is 'The archives whose period is over.';
comment on index retention.archive_open is 'Archives that were begun and that no receipt names.';
comment on index retention.archive_policy is 'The archives of one policy, for a restore.';
comment on index retention.archive_dead is 'Archives that hold rows erased since.';

create table retention.archive_subject (
  archive    uuid not null references retention.archive (id),
  scope      text not null check (scope in ('organization', 'user')),
  subject    text not null,
  rows       bigint not null,
  erased_at  timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (archive, scope, subject)
);
create index archive_subject_subject on retention.archive_subject using hash (subject) where erased_at is null;
create trigger lapse_touch before update on retention.archive_subject for each row execute function retention.touch();

comment on table retention.archive_subject is
  'Whose rows an archive holds: by it a hold keeps it, an erasure reaches it, a restore finds it. Erased, it is the tombstone that restore honors. [confidential; kept: forever]';
comment on column retention.archive_subject.archive is 'The archive.';
comment on column retention.archive_subject.scope is 'organization or user. [internal]';
comment on column retention.archive_subject.subject is
  'Its id as the column prints it; once erased, the SHA-256 of scope:id. [confidential; personal: id of a person or organization; handling: evidence]';
comment on column retention.archive_subject.rows is 'How many rows of the archive are theirs.';
comment on column retention.archive_subject.erased_at is 'When they were erased: from then on these rows are dead.';
comment on column retention.archive_subject.created_at is 'When the row was written.';
comment on column retention.archive_subject.updated_at is 'When the row last changed.';
comment on index retention.archive_subject_subject is 'The archives that hold rows of a subject.';

grant select on retention.archive, retention.archive_subject to lapse_app;

-- Down Migration

do $$ begin
  if exists (select 1 from retention.archive where state in ('kept', 'open')) then
    raise exception 'lapse: there are archives; without these tables nothing could be restored from them';
  end if;
end $$;
drop table retention.archive_subject;
drop table retention.archive;
alter table retention.receipt drop column archive;
