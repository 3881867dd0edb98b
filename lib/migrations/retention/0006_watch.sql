-- Knowing that everything ran: when each policy and each job last came and last did its work, what is past its
-- cutoff and whether it will ever be caught up with, incidents with their begin and end, and the outbox of alerts.

-- Up Migration

create table retention.watched (
  name           text primary key check (name <> ''),
  schedule       text not null,
  expected_since timestamptz not null,
  started_at     timestamptz,
  finished_at    timestamptz,
  worked_at      timestamptz,
  outcome        text check (outcome in ('succeeded', 'interrupted', 'skipped', 'errored')),
  reason         text,
  seconds        double precision check (seconds >= 0),
  sla_status     text check (sla_status in ('within_sla', 'warning', 'breached')),
  status         text not null default 'on_time' check (status in ('on_time', 'warning', 'breached', 'withheld')),
  created_at     timestamptz not null default now(),
  updated_at     timestamptz not null default now()
);
comment on table retention.watched is 'Each policy and each job of Lapse that is expected on a schedule: when it last came and last did its work.';
comment on column retention.watched.name is 'The policy or the job: its route segment.';
comment on column retention.watched.schedule is 'The schedule it is expected by, UTC.';
comment on column retention.watched.expected_since is 'When it was first seen, or its schedule last changed: nothing before it can be missing.';
comment on column retention.watched.started_at is 'When it last began.';
comment on column retention.watched.finished_at is 'When it last ended; before started_at while it runs or when it died.';
comment on column retention.watched.worked_at is 'Start of the latest that did its work: it succeeded, or was interrupted and goes on from there.';
comment on column retention.watched.outcome is 'How the latest ended.';
comment on column retention.watched.reason is 'Why it did not succeed.';
comment on column retention.watched.seconds is 'How long the latest took.';
comment on column retention.watched.sla_status is 'The latest against its allowed duration.';
comment on column retention.watched.status is 'As the watch last judged it: on_time; warning or breached against the allowed lateness; withheld: it comes, and something keeps it from working.';
comment on column retention.watched.created_at is 'When the row was written.';
comment on column retention.watched.updated_at is 'When the row last changed.';
create trigger lapse_touch before update on retention.watched for each row execute function retention.touch();

create table retention.watch_turn (
  only_row   boolean primary key default true check (only_row),
  looked_at  timestamptz not null default '-infinity',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
insert into retention.watch_turn default values;
comment on table retention.watch_turn is 'One row: when somebody last looked for late runs. Every cron may take the next turn.';
comment on column retention.watch_turn.only_row is 'There is one.';
comment on column retention.watch_turn.looked_at is 'When.';
comment on column retention.watch_turn.created_at is 'When the row was written.';
comment on column retention.watch_turn.updated_at is 'When the row last changed.';
create trigger lapse_touch before update on retention.watch_turn for each row execute function retention.touch();

create table retention.incident (
  id           uuid primary key default gen_random_uuid(),
  cause        text not null check (cause <> ''),
  severity     text not null check (severity in ('warning', 'critical')),
  message      text not null check (message <> ''),
  opened_at    timestamptz not null,
  last_seen_at timestamptz not null,
  times        int not null default 1 check (times >= 1),
  recovered_at timestamptz,
  created_at   timestamptz not null default now(),
  updated_at   timestamptz not null default now(),
  check (recovered_at is null or recovered_at >= opened_at)
);
create unique index incident_open on retention.incident (cause) where recovered_at is null;
create index incident_opened_at on retention.incident (opened_at desc);
comment on table retention.incident is 'Something is wrong, from when it was first seen until it was over. One open incident a cause, however many look.';
comment on column retention.incident.id is 'Identifies the incident; an alert carries it, so that a receiver can tell a repeated delivery.';
comment on column retention.incident.cause is 'What it is grouped by: <event>:<policy, job or step>.';
comment on column retention.incident.severity is 'The worst it has been: warning or critical.';
comment on column retention.incident.message is 'What is wrong and what to do, as last seen; never a row value.';
comment on column retention.incident.opened_at is 'When it was first seen.';
comment on column retention.incident.last_seen_at is 'When it was last seen.';
comment on column retention.incident.times is 'How often it was seen.';
comment on column retention.incident.recovered_at is 'When it was over; null while it lasts.';
comment on column retention.incident.created_at is 'When the row was written.';
comment on column retention.incident.updated_at is 'When the row last changed.';
create trigger lapse_touch before update on retention.incident for each row execute function retention.touch();

create table retention.alert (
  id              uuid primary key default gen_random_uuid(),
  incident        uuid not null references retention.incident (id),
  channel         text not null check (channel in ('sentry', 'webhook', 'email')),
  moment          text not null check (moment in ('warning', 'critical', 'again', 'recovered')),
  nth             int not null default 1 check (nth >= 1),
  state           text not null default 'pending' check (state in ('pending', 'sent', 'dead')),
  attempts        int not null default 0 check (attempts >= 0),
  next_attempt_at timestamptz not null,
  error           text,
  sent_at         timestamptz,
  created_at      timestamptz not null default now(),
  updated_at      timestamptz not null default now(),
  unique (incident, channel, moment, nth),
  check ((state = 'sent') = (sent_at is not null))
);
create index alert_due on retention.alert (next_attempt_at, id) where state = 'pending';
comment on table retention.alert is 'The outbox of alerts: written with the incident, sent once by whoever claims it, tried again until the channel took it.';
comment on column retention.alert.id is 'Identifies the delivery; the same on every attempt.';
comment on column retention.alert.incident is 'What it is about.';
comment on column retention.alert.channel is 'Where it goes.';
comment on column retention.alert.moment is 'What it says: it began (or became) warning or critical, it happened again, it is over.';
comment on column retention.alert.nth is 'Counts the moments "again"; 1 for the others.';
comment on column retention.alert.state is 'pending, sent, or dead after the last attempt.';
comment on column retention.alert.attempts is 'How often it was claimed.';
comment on column retention.alert.next_attempt_at is 'Not tried before; moved ahead by a claim, so that nobody else sends it meanwhile.';
comment on column retention.alert.error is 'Class of the last failure.';
comment on column retention.alert.sent_at is 'When the channel took it.';
comment on column retention.alert.created_at is 'When the row was written.';
comment on column retention.alert.updated_at is 'When the row last changed.';
create trigger lapse_touch before update on retention.alert for each row execute function retention.touch();

create table retention.backlog (
  policy              text not null,
  plan                text not null,
  waiting             bigint not null check (waiting >= 0),
  seconds_past_cutoff double precision not null check (seconds_past_cutoff >= 0),
  measured_at         timestamptz not null,
  created_at          timestamptz not null default now(),
  updated_at          timestamptz not null default now(),
  primary key (policy, plan)
);
comment on table retention.backlog is 'What was past its cutoff when it was last measured, by policy and label.';
comment on column retention.backlog.policy is 'The policy.';
comment on column retention.backlog.plan is 'Label of the rule: a tier or a case.';
comment on column retention.backlog.waiting is 'Rows before their cutoff, held or not, within the bound of the count.';
comment on column retention.backlog.seconds_past_cutoff is 'How long the oldest row that may go should have been gone.';
comment on column retention.backlog.measured_at is 'When.';
comment on column retention.backlog.created_at is 'When the row was written.';
comment on column retention.backlog.updated_at is 'When the row last changed.';
create trigger lapse_touch before update on retention.backlog for each row execute function retention.touch();

create table retention.backlog_day (
  policy        text not null,
  day           date not null,
  arriving      bigint not null check (arriving >= 0),
  deleted_total bigint not null check (deleted_total >= 0),
  measured_at   timestamptz not null,
  created_at    timestamptz not null default now(),
  updated_at    timestamptz not null default now(),
  primary key (policy, day)
);
comment on table retention.backlog_day is 'Daily totals of each policy: what expires and what was deleted since the first run. The forecast compares the two.';
comment on column retention.backlog_day.policy is 'The policy.';
comment on column retention.backlog_day.day is 'The day, UTC.';
comment on column retention.backlog_day.arriving is 'Rows that expire in the 24 hours from the day''s first measurement, within the bound of the count.';
comment on column retention.backlog_day.deleted_total is 'Rows deleted since the first run, at the day''s first measurement.';
comment on column retention.backlog_day.measured_at is 'The day''s first measurement.';
comment on column retention.backlog_day.created_at is 'When the row was written.';
comment on column retention.backlog_day.updated_at is 'When the row last changed.';

create table retention.forecast (
  policy           text primary key,
  waiting          bigint not null check (waiting >= 0),
  arrivals_per_day double precision check (arrivals_per_day >= 0),
  drained_per_day  double precision check (drained_per_day >= 0),
  verdict          text not null check (verdict in ('clear', 'catching_up', 'never', 'unknown')),
  clear_at         timestamptz,
  advice           text,
  measured_at      timestamptz not null,
  created_at       timestamptz not null default now(),
  updated_at       timestamptz not null default now()
);
comment on table retention.forecast is 'Whether each policy keeps up with what expires.';
comment on column retention.forecast.policy is 'The policy.';
comment on column retention.forecast.waiting is 'Rows before their cutoff over all labels, within the bound of the count.';
comment on column retention.forecast.arrivals_per_day is 'Rows that expire a day, the mean of the last week''s daily totals.';
comment on column retention.forecast.drained_per_day is 'Rows deleted a day over the same time; null until there are two days.';
comment on column retention.forecast.verdict is 'clear: nothing is later than its schedule allows. catching_up. never: more expires than is deleted. unknown: too few days.';
comment on column retention.forecast.clear_at is 'When it will have caught up, at this rate.';
comment on column retention.forecast.advice is 'The schedule that would catch up.';
comment on column retention.forecast.measured_at is 'When.';
comment on column retention.forecast.created_at is 'When the row was written.';
comment on column retention.forecast.updated_at is 'When the row last changed.';
create trigger lapse_touch before update on retention.forecast for each row execute function retention.touch();

grant select on retention.watched, retention.watch_turn, retention.incident, retention.alert, retention.backlog,
  retention.backlog_day, retention.forecast to lapse_app;
grant insert, update on retention.watched, retention.incident, retention.alert, retention.backlog, retention.forecast to lapse_app;
grant update on retention.watch_turn to lapse_app;
grant insert on retention.backlog_day to lapse_app;

-- Down Migration

drop table retention.forecast, retention.backlog_day, retention.backlog, retention.alert, retention.incident,
  retention.watch_turn, retention.watched;
