-- What has drifted apart: the tables there are, the data map and the policies, as the last look found it.

-- Up Migration

create table retention.drift (
  id         text primary key check (id ~ '^[0-9a-f]{16}$'),
  kind       text not null check (kind in ('table', 'undecided', 'column', 'foreign-key', 'map', 'policy', 'unread')),
  subject    text not null check (subject <> ''),
  problem    text not null,
  remedy     text not null,
  found_at   timestamptz not null,
  seen_at    timestamptz not null check (seen_at >= found_at),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create trigger lapse_touch before update on retention.drift for each row execute function retention.touch();
comment on table retention.drift is 'What the last look found adrift: a row a finding, gone when it is mended. Names of tables and columns, no content of any row. [internal; kept: current]';
comment on column retention.drift.id is 'Hash of kind, subject and problem: the same finding has the same id at each look. [internal]';
comment on column retention.drift.kind is 'table: no decision. undecided: waits for one. column: looks personal and has no handling. foreign-key: without an index. map: speaks of what is not there. policy: what keeps it from deleting. unread: could not be looked at. [internal]';
comment on column retention.drift.subject is 'The table, column, foreign key or policy. [internal]';
comment on column retention.drift.problem is 'What is adrift, in one sentence. [internal]';
comment on column retention.drift.remedy is 'The line of lib/policies/data-map.ts, the statement or the step that mends it. [internal]';
comment on column retention.drift.found_at is 'When a look first found it.';
comment on column retention.drift.seen_at is 'When a look last found it.';
comment on column retention.drift.created_at is 'When the row was written.';
comment on column retention.drift.updated_at is 'When the row last changed.';

grant select, insert, update, delete on retention.drift to lapse_app;

-- Down Migration

drop table retention.drift;
