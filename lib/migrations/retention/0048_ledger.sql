-- What outlives a restore of the database: finished erasures stand in a ledger outside it, and what a restore brings back
-- is erased again. And the copy of a person's data that an operator asks for.

-- Up Migration

create table retention.ledger_secret (
  only_row   boolean primary key default true check (only_row),
  secret     bytea not null default sha256(convert_to(gen_random_uuid()::text || gen_random_uuid()::text, 'UTF8')),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
insert into retention.ledger_secret default values;
create trigger lapse_touch before update on retention.ledger_secret for each row execute function retention.touch();
comment on table retention.ledger_secret is 'One row: proves that an entry of the ledger is of a request that people had let begin, so that nobody erases anything by an entry of their own making. It is restored with the database. [restricted; kept: current]';
comment on column retention.ledger_secret.only_row is 'Keeps this a table of one row.';
comment on column retention.ledger_secret.secret is 'Random; never leaves the database. Changing it makes every entry that is there worthless. [restricted]';
comment on column retention.ledger_secret.created_at is 'When the row was written.';
comment on column retention.ledger_secret.updated_at is 'When the row last changed.';

create table retention.replay (
  id         uuid primary key default gen_random_uuid(),
  because    text not null check (because in ('restored', 'asked')),
  begun_at   timestamptz not null default clock_timestamp(),
  checked    bigint not null default 0 check (checked >= 0),
  adopted    bigint not null default 0 check (adopted >= 0),
  unproven   bigint not null default 0 check (unproven >= 0),
  unreadable bigint not null default 0 check (unreadable >= 0),
  walked_at  timestamptz,
  ended_at   timestamptz check (ended_at is null or walked_at is not null),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create unique index replay_open on retention.replay ((true)) where ended_at is null;
create trigger lapse_touch before update on retention.replay for each row execute function retention.touch();
comment on table retention.replay is 'Each time the ledger of finished erasures was held against the database, because it had been restored or because somebody asked. [internal; kept: forever]';
comment on column retention.replay.id is 'Identifies the replay.';
comment on column retention.replay.because is 'restored: the chain of the database is behind the ledger. asked: npm run erasures:replay. [internal]';
comment on column retention.replay.begun_at is 'When.';
comment on column retention.replay.checked is 'Entries of the ledger that were looked at.';
comment on column retention.replay.adopted is 'Requests that this database did not know as done, and that were taken up again.';
comment on column retention.replay.unproven is 'Entries whose proof is not of this database: not taken up.';
comment on column retention.replay.unreadable is 'Entries that no key of the environment opens: not taken up.';
comment on column retention.replay.walked_at is 'When all entries had been looked at; from then on new ones may be written.';
comment on column retention.replay.ended_at is 'When all that was taken up was done again, or taken back.';
comment on column retention.replay.created_at is 'When the row was written.';
comment on column retention.replay.updated_at is 'When the row last changed.';
comment on index retention.replay_open is 'One replay is under way at most.';

alter table retention.erasure
  add column ledger text check (ledger <> ''),
  add column replay uuid references retention.replay (id);
create index erasure_replay on retention.erasure (replay) where replay is not null;
comment on column retention.erasure.ledger is 'Name of its entry in the ledger; null where none is kept. [internal]';
comment on column retention.erasure.replay is 'The replay that took it up from the ledger; null where people asked for it in this database.';
comment on index retention.erasure_replay is 'Foreign key to the replay; also asked for the end of one.';

create table retention.export (
  id              uuid primary key default gen_random_uuid(),
  scope           text not null check (scope in ('organization', 'user')),
  subject         text not null check (subject <> ''),
  reason          text not null check (reason <> ''),
  requested_by    text not null check (requested_by <> ''),
  requested_at    timestamptz not null default clock_timestamp(),
  state           text not null default 'requested' check (state in ('requested', 'written', 'withdrawn', 'gone')),
  expires_at      timestamptz not null,
  prefix          text check (prefix <> ''),
  manifest_sha256 text check (manifest_sha256 ~ '^[0-9a-f]{64}$'),
  row_count       bigint check (row_count >= 0),
  file_count      bigint check (file_count >= 0),
  byte_count      bigint check (byte_count >= 0),
  written_at      timestamptz,
  gone_at         timestamptz,
  created_at      timestamptz not null default now(),
  updated_at      timestamptz not null default now(),
  check ((state = 'written') <= (written_at is not null and manifest_sha256 is not null)),
  check ((state = 'gone') = (gone_at is not null))
);
create unique index export_open on retention.export (scope, subject) where state = 'requested';
create index export_ending on retention.export (expires_at) where state <> 'gone';
create trigger lapse_touch before update on retention.export for each row execute function retention.touch();
comment on table retention.export is 'Copies of everything that is held about one person or organization: who asked, what came of it, until when it can be fetched. [confidential; kept: forever]';
comment on column retention.export.id is 'Identifies the export.';
comment on column retention.export.scope is 'organization or user. [internal]';
comment on column retention.export.subject is 'Its id as text. [confidential; personal: id of a person or organization; handling: evidence]';
comment on column retention.export.reason is 'Why, e.g. the request''s number. [confidential; personal: words of an operator; handling: free text]';
comment on column retention.export.requested_by is 'The operator who asked for it. [confidential; personal: name of an operator; handling: evidence]';
comment on column retention.export.requested_at is 'When.';
comment on column retention.export.state is 'requested: being written. written: can be fetched. withdrawn: no longer. gone: nothing of it is left in the store. [internal]';
comment on column retention.export.expires_at is 'Until when it can be fetched; then it is deleted.';
comment on column retention.export.prefix is 'Where it lies in the private store. [internal]';
comment on column retention.export.manifest_sha256 is 'SHA-256 of its manifest, which names every part of it with a hash of its own. [internal]';
comment on column retention.export.row_count is 'Rows in it.';
comment on column retention.export.file_count is 'Files in it.';
comment on column retention.export.byte_count is 'Bytes of it in the store.';
comment on column retention.export.written_at is 'When it was complete.';
comment on column retention.export.gone_at is 'When nothing of it was left in the store.';
comment on column retention.export.created_at is 'When the row was written.';
comment on column retention.export.updated_at is 'When the row last changed.';
comment on index retention.export_open is 'One export of a subject is being written at most: asking twice is asking once.';
comment on index retention.export_ending is 'What is to be written, or has expired and lies in the store.';

grant select on retention.replay, retention.export to lapse_app;

-- Down Migration

drop table retention.export;
drop index retention.erasure_replay;
alter table retention.erasure drop column replay, drop column ledger;
drop table retention.replay;
drop table retention.ledger_secret;
