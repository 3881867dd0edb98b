-- Nothing leaves a governed table, or one whose rows go along, by the role of the app without a receipt.

-- Up Migration

select retention.protect('public.' || t) from unnest(array['quiz_responses', 'generated_pdfs', 'magic_links', 'webhook_events',
  'render_jobs', 'render_job_logs', 'artifacts', 'artifact_files', 'documents', 'usage_events']) t;

-- A month that is added has the guard from its beginning.
create or replace function add_usage_month(month date) returns void
language plpgsql set timezone = 'UTC' as $$
declare
  first date := date_trunc('month', month)::date;
  partition text := 'usage_events_' || to_char(first, 'YYYY_MM');
begin
  if to_regclass(format('public.%I', partition)) is null then
    execute format('create table public.%I partition of public.usage_events for values from (%L) to (%L)',
      partition, first::timestamptz, (first + interval '1 month')::timestamptz);
    execute format('grant select, update, delete on public.%I to lapse_app', partition);
    perform retention.protect(format('public.%I', partition));
    -- Its columns are explained once, at the table it is a part of.
    execute format('comment on table public.%I is %L', partition, 'Events of ' || to_char(first, 'YYYY-MM') || ', UTC.');
  end if;
end $$;

-- Down Migration

create or replace function add_usage_month(month date) returns void
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

do $$
declare t regclass;
begin
  for t in select tgrelid from pg_trigger where tgname = 'lapse_guard' and tgrelid in (
    select oid from pg_class where relnamespace = 'public'::regnamespace) loop
    execute format('drop trigger lapse_guard on %s', t);
  end loop;
end $$;
