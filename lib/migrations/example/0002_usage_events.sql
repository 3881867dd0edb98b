-- A table that teams partition in life: many rows, only ever appended, read by month.

-- Up Migration

create table usage_events (
  id uuid not null default gen_random_uuid(),
  occurred_at timestamptz not null,
  organization_id uuid not null,
  user_id uuid,
  kind text not null,
  units integer not null default 1 check (units >= 0),
  primary key (occurred_at, id)
) partition by range (occurred_at);
create index usage_events_organization_id on usage_events (organization_id);
create index usage_events_user_id on usage_events (user_id);
comment on table usage_events is 'What organizations used, event by event: what their invoices are made from. Partitioned by month.';
comment on column usage_events.id is 'Identifies the event within its instant.';
comment on column usage_events.occurred_at is 'When it happened; decides the partition.';
comment on column usage_events.organization_id is 'Who is billed for it.';
comment on column usage_events.user_id is 'Who used it. Personal data.';
comment on column usage_events.kind is 'What was used.';
comment on column usage_events.units is 'How much of it.';
grant select, update, delete on usage_events to lapse_app;

-- Called a month ahead, by the application or by pg_partman; here by the seed.
create function add_usage_month(month date) returns void
language plpgsql set timezone = 'UTC' as $$
declare
  first date := date_trunc('month', month)::date;
  partition text := 'usage_events_' || to_char(first, 'YYYY_MM');
begin
  if to_regclass(format('public.%I', partition)) is null then
    execute format('create table public.%I partition of public.usage_events for values from (%L) to (%L)',
      partition, first::timestamptz, (first + interval '1 month')::timestamptz);
    execute format('grant select, update, delete on public.%I to lapse_app', partition);
    -- Its columns are explained once, at the table it is a part of.
    execute format('comment on table public.%I is %L', partition, 'Events of ' || to_char(first, 'YYYY-MM') || ', UTC.');
  end if;
end $$;
comment on function add_usage_month(date) is 'Makes the partition of a month, unless it is there.';

insert into retention.partition_grant (table_name, policy, least_age, key_columns, organization_column, user_column)
  values ('public.usage_events', 'usage-events', '365 days', '{id,occurred_at}', 'organization_id', 'user_id');

-- Down Migration

delete from retention.partition_grant where table_name = 'public.usage_events';
drop function add_usage_month(date);
drop table usage_events;
