-- Files: how outbox entries are claimed and settled, what the reconciliation found, what each organization's
-- artifacts came to, erasures by request, and rows restored inside their grace period.

-- Up Migration

-- The reconciliation queues orphans too; they belong to no batch.
alter table retention.outbox alter column run drop not null, alter column seq drop not null;
alter table retention.outbox add column settled_as text
  check (settled_as in ('deleted', 'missing', 'referenced', 'rewritten'));
alter table retention.outbox add column assigned_to text;
alter table retention.outbox add column resolution text;
alter table retention.outbox add constraint outbox_source check ((run is null) = (seq is null));
comment on column retention.outbox.settled_as is 'How it ended: deleted; missing: there was no such file; referenced: a live row names it; rewritten: uploaded again since.';
comment on column retention.outbox.assigned_to is 'Who looks after a dead entry.';
comment on column retention.outbox.resolution is 'What was decided about a dead entry, and why.';
create index outbox_dead on retention.outbox (updated_at) where state = 'dead';

-- One name for a file, however a row writes it: the pathname of its URL.
create function retention.blob_url_decoded(url text) returns text
language sql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
  select case when strpos(p.path, '%') = 0 then p.path
    else (
      select convert_from(decode(string_agg(
        case when c.m[1] ~ '^%' then substr(c.m[1], 2) else encode(convert_to(c.m[1], 'UTF8'), 'hex') end, '' order by c.n), 'hex'), 'UTF8')
      from regexp_matches(p.path, '%[0-9a-fA-F]{2}|.', 'g') with ordinality c(m, n)
    )
  end
  from (select ltrim(regexp_replace(split_part(url, '?', 1), '^[a-zA-Z]+://[^/]+', ''), '/') as path) p
$$;
comment on function retention.blob_url_decoded(text) is 'Pathname of a blob, from its URL.';

-- Without a search_path of its own, so that it is inlined: it is evaluated once a file, by the deleting statement.
create function retention.blob_path(url text) returns text
language sql immutable parallel safe as $$
  select case when url ~ '^[a-zA-Z]+://' then retention.blob_url_decoded(url) else pg_catalog.ltrim(url, '/') end
$$;
comment on function retention.blob_path(text) is 'Pathname of a blob, from its URL or pathname.';

create function retention.blob_url_path(path text) returns text
language sql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
  select case when path !~ '[^A-Za-z0-9_.!~*''()/-]' then path
    else (
      select string_agg(case when c.m[1] ~ '[A-Za-z0-9_.!~*''()/-]' then c.m[1]
        else upper(regexp_replace(encode(convert_to(c.m[1], 'UTF8'), 'hex'), '(..)', '%\1', 'g')) end, '' order by c.n)
      from regexp_matches(path, '.', 'g') with ordinality c(m, n)
    )
  end
$$;
comment on function retention.blob_url_path(text) is 'A pathname as it stands in the URL of its blob.';
alter table retention.outbox add column path text not null generated always as (retention.blob_path(url)) stored;
comment on column retention.outbox.path is 'Pathname of the blob: one name however a row writes it.';
create index outbox_path on retention.outbox (path);

-- First half of a claim: takes (7002, path) for up to n paths that are due, and leaves them in `lapse.files`.
-- The judgment follows in a statement of its own, which sees every row committed before the locks (DELETION §11).
-- Tried, not waited for: two drains never deadlock, and a path an application transaction is about to use is busy.
create function retention.lock_files(n int, at timestamptz) returns int
language plpgsql volatile security invoker set search_path = pg_catalog, pg_temp as $$
declare
  paths text[];
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'lapse: a claim needs READ COMMITTED' using errcode = 'LP005';
  end if;
  select coalesce(array_agg(d.path), '{}') into paths from (
    select distinct due.path from (
      select path from retention.outbox
      where state in ('pending', 'deleting') and next_attempt_at <= at
      order by next_attempt_at, id limit n for update skip locked
    ) due
  ) d where pg_try_advisory_xact_lock(hashtextextended(d.path, 7002));
  perform set_config('lapse.files', paths::text, true);
  return cardinality(paths);
end $$;
comment on function retention.lock_files(int, timestamptz) is
  'Locks the paths of up to n due outbox entries for this transaction; the next statement may judge them.';

-- For tables that write to the same paths again. A row may not name a file that is being deleted, or was within
-- the last day: whoever uploaded it before the deletion and names it after would name nothing.
create function retention.guard_file_reference() returns trigger
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
declare
  named text;
  col text;
begin
  foreach col in array tg_argv loop
    named := to_jsonb(new) ->> col;
    continue when coalesce(named, '') = '';
    continue when tg_op = 'UPDATE' and named is not distinct from (to_jsonb(old) ->> col);
    perform pg_advisory_xact_lock_shared(hashtextextended(retention.blob_path(named), 7002));
    if exists (
      select 1 from retention.outbox
      where path = retention.blob_path(named)
        and (state = 'deleting' or (state = 'deleted' and updated_at > clock_timestamp() - interval '1 day'))
    ) then
      raise exception 'lapse: the file named by %.%.% is being deleted; upload it under another name',
        tg_table_schema, tg_table_name, col using errcode = 'LP008';
    end if;
  end loop;
  return new;
end $$;
comment on function retention.guard_file_reference() is
  'Row trigger BEFORE INSERT OR UPDATE, arguments: the columns that name files. Refuses a file that is being deleted.';

create table retention.blob_finding (
  id            bigint generated always as identity primary key,
  kind          text not null check (kind in ('orphan', 'missing')),
  path          text not null,
  table_name    text not null default '',
  row_key       text not null default '',
  bytes         bigint,
  uploaded_at   timestamptz,
  first_scan    uuid not null,
  last_scan     uuid not null,
  scans         int not null default 1 check (scans >= 1),
  first_seen_at timestamptz not null,
  last_seen_at  timestamptz not null,
  state         text not null default 'open' check (state in ('open', 'queued', 'resolved')),
  created_at    timestamptz not null default now(),
  updated_at    timestamptz not null default now()
);
create unique index blob_finding_once on retention.blob_finding (kind, path, table_name, row_key) where state = 'open';
create index blob_finding_ripe on retention.blob_finding (first_seen_at, id) where state = 'open' and kind = 'orphan';
create trigger lapse_touch before update on retention.blob_finding for each row execute function retention.touch();
comment on table retention.blob_finding is 'Where store and rows disagree: files no row names, and rows whose file is missing.';
comment on column retention.blob_finding.id is 'Order of finding.';
comment on column retention.blob_finding.kind is 'orphan: a file no row names. missing: a row names a file that is not there.';
comment on column retention.blob_finding.path is 'Pathname of the file.';
comment on column retention.blob_finding.table_name is 'For a missing file: the table whose row names it.';
comment on column retention.blob_finding.row_key is 'For a missing file: the key of that row.';
comment on column retention.blob_finding.bytes is 'Size of the orphan.';
comment on column retention.blob_finding.uploaded_at is 'When the orphan was uploaded.';
comment on column retention.blob_finding.first_scan is 'The scan that saw it first.';
comment on column retention.blob_finding.last_scan is 'The scan that saw it last.';
comment on column retention.blob_finding.scans is 'How many scans have seen it.';
comment on column retention.blob_finding.first_seen_at is 'When it was seen first.';
comment on column retention.blob_finding.last_seen_at is 'When it was seen last.';
comment on column retention.blob_finding.state is 'open; queued: handed to the outbox for deletion; resolved: not so any more.';
comment on column retention.blob_finding.created_at is 'When the row was written.';
comment on column retention.blob_finding.updated_at is 'When the row last changed.';

create table retention.blob_scan (
  id           uuid primary key,
  mode         text not null check (mode in ('report', 'delete')),
  started_at   timestamptz not null,
  finished_at  timestamptz,
  listed       bigint not null default 0,
  listed_bytes bigint not null default 0,
  checked_rows bigint not null default 0,
  created_at   timestamptz not null default now(),
  updated_at   timestamptz not null default now()
);
create trigger lapse_touch before update on retention.blob_scan for each row execute function retention.touch();
comment on table retention.blob_scan is 'One sweep of the reconciliation over all declared prefixes and all columns that name files.';
comment on column retention.blob_scan.id is 'Identifies the scan.';
comment on column retention.blob_scan.mode is 'report: nothing is deleted. delete: ripe orphans are queued.';
comment on column retention.blob_scan.started_at is 'When it began.';
comment on column retention.blob_scan.finished_at is 'When it had seen everything; null while under way.';
comment on column retention.blob_scan.listed is 'Files listed.';
comment on column retention.blob_scan.listed_bytes is 'Their bytes.';
comment on column retention.blob_scan.checked_rows is 'Rows whose file was asked for.';
comment on column retention.blob_scan.created_at is 'When the row was written.';
comment on column retention.blob_scan.updated_at is 'When the row last changed.';

-- One line a run and organization, summed up by the deleting statement.
create table retention.tenant_total (
  run     uuid not null references retention.run (id),
  tenant  text not null,
  label   text not null,
  deleted bigint not null check (deleted >= 0),
  bytes   bigint not null default 0,
  primary key (run, tenant, label)
);
comment on table retention.tenant_total is 'What a run deleted of each organization, by tier.';
comment on column retention.tenant_total.run is 'The run.';
comment on column retention.tenant_total.tenant is 'Id of the organization as text.';
comment on column retention.tenant_total.label is 'The rule that decided: its tier, or override.';
comment on column retention.tenant_total.deleted is 'Rows of the governed table that went.';
comment on column retention.tenant_total.bytes is 'Bytes of their files.';

-- G4. Written by the end of the run's record, so that also a lost run gets its line when it is closed.
create table retention.audit_event (
  id                bigint generated always as identity primary key,
  event             text not null,
  run               uuid not null unique references retention.run (id),
  total_orgs        bigint not null,
  artifacts_deleted bigint not null,
  bytes_freed       bigint not null,
  by_tier           jsonb not null,
  at                timestamptz not null default clock_timestamp()
);
comment on table retention.audit_event is 'ARTIFACT_RETENTION_DELETE: one line a run of the artifact policy. Append-only.';
comment on column retention.audit_event.id is 'Order of writing.';
comment on column retention.audit_event.event is 'ARTIFACT_RETENTION_DELETE.';
comment on column retention.audit_event.run is 'The run.';
comment on column retention.audit_event.total_orgs is 'Organizations of which something was deleted.';
comment on column retention.audit_event.artifacts_deleted is 'Artifacts deleted.';
comment on column retention.audit_event.bytes_freed is 'Bytes of their files.';
comment on column retention.audit_event.by_tier is 'Organizations, artifacts and bytes by tier.';
comment on column retention.audit_event.at is 'When the run ended.';

create function retention.artifact_event() returns trigger
language plpgsql volatile security invoker set search_path = pg_catalog, pg_temp as $$
begin
  insert into retention.audit_event (event, run, total_orgs, artifacts_deleted, bytes_freed, by_tier)
  select 'ARTIFACT_RETENTION_DELETE', new.id,
    (select count(distinct tenant) from retention.tenant_total where run = new.id), new.deleted, new.bytes_freed,
    coalesce((select jsonb_object_agg(x.label, jsonb_build_object('orgs', x.orgs, 'deleted', x.deleted, 'bytes', x.bytes)) from (
      select label, count(*) as orgs, sum(deleted) as deleted, sum(bytes) as bytes
      from retention.tenant_total where run = new.id group by label
    ) x), '{}')
  on conflict (run) do nothing;
  return null;
end $$;
comment on function retention.artifact_event() is 'Writes ARTIFACT_RETENTION_DELETE when a run of the artifact policy ends.';
create trigger lapse_artifact_event after update of outcome on retention.run
  for each row when (new.policy = 'artifacts' and new.mode = 'delete' and old.outcome is null and new.outcome in ('succeeded', 'interrupted', 'errored'))
  execute function retention.artifact_event();

create table retention.erasure (
  id            uuid primary key default gen_random_uuid(),
  scope         text not null check (scope in ('organization', 'user')),
  subject       text not null check (subject <> ''),
  reason        text not null check (reason <> ''),
  requested_by  text not null check (requested_by <> ''),
  requested_at  timestamptz not null default now(),
  state         text not null default 'open' check (state in ('open', 'done')),
  finished_at   timestamptz,
  created_at    timestamptz not null default now(),
  updated_at    timestamptz not null default now(),
  check ((state = 'done') = (finished_at is not null))
);
create unique index erasure_open on retention.erasure (scope, subject) where state = 'open';
create trigger lapse_touch before update on retention.erasure for each row execute function retention.touch();
comment on table retention.erasure is 'Requests to erase everything of one organization or user, whatever its age and tier.';
comment on column retention.erasure.id is 'Identifies the request.';
comment on column retention.erasure.scope is 'organization or user.';
comment on column retention.erasure.subject is 'Its id as text.';
comment on column retention.erasure.reason is 'Why, e.g. the request''s number.';
comment on column retention.erasure.requested_by is 'Who asked Lapse to do it.';
comment on column retention.erasure.requested_at is 'When.';
comment on column retention.erasure.state is 'open until every policy is done with the subject.';
comment on column retention.erasure.finished_at is 'When it was done.';
comment on column retention.erasure.created_at is 'When the row was written.';
comment on column retention.erasure.updated_at is 'When the row last changed.';

create table retention.erasure_step (
  erasure            uuid not null references retention.erasure (id),
  policy             text not null,
  outcome            text not null check (outcome in ('succeeded', 'interrupted', 'skipped', 'errored', 'out_of_reach')),
  reason             text,
  deleted            bigint not null default 0,
  dependants_deleted bigint not null default 0,
  files              bigint not null default 0,
  bytes              bigint not null default 0,
  kept               jsonb not null default '{}',
  runs               uuid[] not null default '{}',
  created_at         timestamptz not null default now(),
  updated_at         timestamptz not null default now(),
  primary key (erasure, policy)
);
create trigger lapse_touch before update on retention.erasure_step for each row execute function retention.touch();
comment on table retention.erasure_step is 'What an erasure did under each policy; its receipts are those of its runs.';
comment on column retention.erasure_step.erasure is 'The request.';
comment on column retention.erasure_step.policy is 'The policy whose table was erased from.';
comment on column retention.erasure_step.outcome is 'succeeded: nothing of the subject is left but what kept says. out_of_reach: this table does not name such a subject.';
comment on column retention.erasure_step.reason is 'Why it is not done.';
comment on column retention.erasure_step.deleted is 'Rows that went, over all its runs.';
comment on column retention.erasure_step.dependants_deleted is 'Rows of dependants that went.';
comment on column retention.erasure_step.files is 'Files handed to the outbox.';
comment on column retention.erasure_step.bytes is 'Their bytes.';
comment on column retention.erasure_step.kept is 'Rows that stay, by reason, as of the last run.';
comment on column retention.erasure_step.runs is 'Its runs.';
comment on column retention.erasure_step.created_at is 'When it was first tried.';
comment on column retention.erasure_step.updated_at is 'When it was last tried.';

create table retention.restoration (
  id          bigint generated always as identity primary key,
  policy      text not null,
  table_name  text not null,
  row_key     text not null,
  deleted_at  timestamptz not null,
  keep_until  timestamptz not null,
  reason      text not null check (reason <> ''),
  restored_by text not null check (restored_by <> ''),
  restored_at timestamptz not null default clock_timestamp()
);
create index restoration_row on retention.restoration (table_name, row_key);
comment on table retention.restoration is 'Rows whose soft deletion was taken back inside the grace period. Append-only.';
comment on column retention.restoration.id is 'Order of writing.';
comment on column retention.restoration.policy is 'The policy that had marked the row.';
comment on column retention.restoration.table_name is 'Its table, schema.name.';
comment on column retention.restoration.row_key is 'Its key as text.';
comment on column retention.restoration.deleted_at is 'Since when it had been marked.';
comment on column retention.restoration.keep_until is 'The policy leaves it alone until then.';
comment on column retention.restoration.reason is 'Why.';
comment on column retention.restoration.restored_by is 'Who restored it.';
comment on column retention.restoration.restored_at is 'When.';

grant select on retention.blob_finding, retention.blob_scan, retention.tenant_total, retention.audit_event,
  retention.erasure, retention.erasure_step, retention.restoration to lapse_app;
grant insert, update on retention.blob_finding, retention.blob_scan, retention.tenant_total, retention.erasure,
  retention.erasure_step to lapse_app;
grant insert (event, run, total_orgs, artifacts_deleted, bytes_freed, by_tier) on retention.audit_event to lapse_app;
grant insert (policy, table_name, row_key, deleted_at, keep_until, reason, restored_by) on retention.restoration to lapse_app;
grant usage on all sequences in schema retention to lapse_app;
revoke execute on all functions in schema retention from public;
grant execute on all functions in schema retention to lapse_app;
-- Down Migration

drop table retention.restoration, retention.erasure_step, retention.erasure, retention.blob_scan, retention.blob_finding;
drop trigger lapse_artifact_event on retention.run;
drop function retention.artifact_event();
drop table retention.audit_event, retention.tenant_total;
drop function retention.guard_file_reference() cascade;
drop function retention.lock_files(int, timestamptz);
alter table retention.outbox drop column path;
drop function retention.blob_url_path(text);
drop function retention.blob_path(text);
drop function retention.blob_url_decoded(text);
drop index retention.outbox_dead;
delete from retention.outbox where run is null;
alter table retention.outbox drop constraint outbox_source, drop column resolution, drop column assigned_to, drop column settled_as;
alter table retention.outbox alter column run set not null, alter column seq set not null;
