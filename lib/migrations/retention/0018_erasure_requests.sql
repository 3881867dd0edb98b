-- An erasure is asked for by a named operator and, where it reaches far, confirmed by a second one before anything
-- is deleted. The app reads these tables; what changes them are the functions of functions/erasure.sql, each with
-- its entry in the audit chain.

-- Up Migration

alter table retention.erasure
  drop constraint erasure_state_check,
  alter column state set default 'requested',
  add column rows_found bigint check (rows_found >= 0),
  add column confirmed_by text check (confirmed_by <> ''),
  add column confirmed_at timestamptz,
  add column tried_at timestamptz,
  add column withdrawn_by text check (withdrawn_by <> ''),
  add column withdrawn_at timestamptz,
  add constraint erasure_state_check check (state in ('requested', 'confirmed', 'open', 'done', 'withdrawn')),
  add constraint erasure_confirmed_check check ((confirmed_by is null) = (confirmed_at is null)),
  add constraint erasure_second_person_check check (confirmed_by <> requested_by),
  add constraint erasure_withdrawn_check check (
    (state = 'withdrawn') = (withdrawn_at is not null) and (withdrawn_by is null) = (withdrawn_at is null));
drop index retention.erasure_open;
create unique index erasure_open on retention.erasure (scope, subject) where state in ('requested', 'confirmed', 'open');
create index erasure_due on retention.erasure (tried_at nulls first, requested_at) where state in ('confirmed', 'open');
comment on column retention.erasure.requested_by is 'The operator who asked for it.';
comment on column retention.erasure.state is
  'requested: waits for a second operator. confirmed: may begin. open: begun, until every policy is done with the subject. done. withdrawn.';
comment on column retention.erasure.rows_found is 'Rows it reached when it was asked for; null when there was no time to count them.';
comment on column retention.erasure.confirmed_by is 'The second operator; null where none was needed.';
comment on column retention.erasure.confirmed_at is 'When.';
comment on column retention.erasure.tried_at is 'When it was last tried: the one that has waited longest comes next.';
comment on column retention.erasure.withdrawn_by is 'The operator who took it back.';
comment on column retention.erasure.withdrawn_at is 'When.';
comment on column retention.run.trigger is
  'cron: the call carried the headers of Vercel Cron, as only who has CRON_SECRET can send them; manual: any other.';
revoke insert, update on retention.erasure, retention.erasure_step from lapse_app;

-- Down Migration

-- The schema before carries out whatever is open: what nobody confirmed, or somebody took back, must not be among it.
delete from retention.erasure_step where erasure in (select id from retention.erasure where state in ('requested', 'withdrawn'));
delete from retention.erasure where state in ('requested', 'withdrawn');
update retention.erasure set state = 'open' where state = 'confirmed';
drop index retention.erasure_due, retention.erasure_open;
alter table retention.erasure
  drop constraint erasure_state_check, drop constraint erasure_confirmed_check,
  drop constraint erasure_second_person_check, drop constraint erasure_withdrawn_check,
  drop column rows_found, drop column confirmed_by, drop column confirmed_at, drop column tried_at,
  drop column withdrawn_by, drop column withdrawn_at,
  alter column state set default 'open',
  add constraint erasure_state_check check (state in ('open', 'done'));
create unique index erasure_open on retention.erasure (scope, subject) where state = 'open';
comment on column retention.erasure.requested_by is 'Who asked Lapse to do it.';
comment on column retention.erasure.state is 'open until every policy is done with the subject.';
comment on column retention.run.trigger is 'cron, or manual by an authenticated request.';
grant insert, update on retention.erasure, retention.erasure_step to lapse_app;
