-- Every row that changes says when it was written and when it last changed, also where a statement forgets to: the
-- trigger keeps updated_at. Tables whose rows are never changed are append-only and say once when they were written.

-- Up Migration

alter table retention.kill_switch
  add column created_at timestamptz not null default now(),
  add column updated_at timestamptz not null default now();
comment on column retention.kill_switch.created_at is 'When the row was written.';
comment on column retention.kill_switch.updated_at is 'When the row last changed.';
create trigger lapse_touch before update on retention.kill_switch for each row execute function retention.touch();

alter table retention.tenant_total
  add column created_at timestamptz not null default now(),
  add column updated_at timestamptz not null default now();
comment on column retention.tenant_total.created_at is 'When the run first deleted something of the organization.';
comment on column retention.tenant_total.updated_at is 'When it last did.';
create trigger lapse_touch before update on retention.tenant_total for each row execute function retention.touch();

create trigger lapse_touch before update on retention.policy_state for each row execute function retention.touch();
create trigger lapse_touch before update on retention.backlog_day for each row execute function retention.touch();
create trigger lapse_touch before update on retention.run_total for each row execute function retention.touch();
create trigger lapse_touch before update on retention.deleted_total for each row execute function retention.touch();
create trigger lapse_touch before update on retention.last_run for each row execute function retention.touch();

-- Down Migration

drop trigger lapse_touch on retention.last_run;
drop trigger lapse_touch on retention.deleted_total;
drop trigger lapse_touch on retention.run_total;
drop trigger lapse_touch on retention.backlog_day;
drop trigger lapse_touch on retention.policy_state;
drop trigger lapse_touch on retention.tenant_total;
alter table retention.tenant_total drop column updated_at, drop column created_at;
drop trigger lapse_touch on retention.kill_switch;
alter table retention.kill_switch drop column updated_at, drop column created_at;
