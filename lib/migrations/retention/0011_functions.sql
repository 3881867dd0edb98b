-- From here on the functions of the schema live in files of their own (lib/migrations/functions), applied again
-- whenever their text has changed. A numbered migration changes tables; a trigger for a new function stands
-- beside the function.

-- Up Migration

create table retention.applied_functions (
  only_row   boolean primary key default true check (only_row),
  sha256     text not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create trigger lapse_touch before update on retention.applied_functions for each row execute function retention.touch();
comment on table retention.applied_functions is 'One row: which text of lib/migrations/functions this schema has.';
comment on column retention.applied_functions.only_row is 'Keeps this a table of one row.';
comment on column retention.applied_functions.sha256 is 'SHA-256 over all files, in the order of their names.';
comment on column retention.applied_functions.created_at is 'When they were first applied.';
comment on column retention.applied_functions.updated_at is 'When they were last applied.';

-- Down Migration

do $$ begin
  raise exception 'lapse: below this the functions were written in the migrations; only all of Lapse can be removed: npm run migrate -- down --count 1000';
end $$;
