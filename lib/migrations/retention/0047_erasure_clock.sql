-- The law gives a month to answer a request to erase: each request has its last day, and who looks after it is told at
-- 80 and at 100 percent of the time, once each.

-- Up Migration

alter table retention.erasure
  add column due_at timestamptz,
  add column warned_at timestamptz,
  add column overdue_at timestamptz;
update retention.erasure set due_at = least(requested_at + interval '30 days',
  (requested_at at time zone 'UTC' + interval '1 month') at time zone 'UTC');
alter table retention.erasure
  alter column due_at set default least(now() + interval '30 days', (now() at time zone 'UTC' + interval '1 month') at time zone 'UTC'),
  alter column due_at set not null;
create index erasure_clock on retention.erasure (due_at) where state in ('requested', 'confirmed', 'open');
comment on column retention.erasure.due_at is 'The end of the time the law gives: 30 days, or a month where that is shorter.';
comment on column retention.erasure.warned_at is 'When people were told that 80 percent of the time is over.';
comment on column retention.erasure.overdue_at is 'When people were told that all of it is over.';
comment on index retention.erasure_clock is 'Requests under way, the one that is due first before the others.';

-- Down Migration

drop index retention.erasure_clock;
alter table retention.erasure drop column overdue_at, drop column warned_at, drop column due_at;
