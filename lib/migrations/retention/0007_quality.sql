-- What the governed data is like, measured once a day: rows whose clock is empty or ahead, references that lead
-- nowhere, keys that occur twice.

-- Up Migration

create table retention.quality (
  policy      text not null,
  day         date not null,
  measure     text not null check (measure in ('completeness', 'timeliness', 'reference', 'uniqueness', 'profile')),
  subject     text not null check (subject <> ''),
  status      text not null check (status in ('ok', 'breached', 'guarded', 'unknown')),
  found       double precision check (found >= 0),
  looked_at   double precision check (looked_at >= 0),
  share       double precision check (share between 0 and 1),
  most        double precision check (most between 0 and 1),
  sampled     boolean not null,
  keys        text[] not null default '{}' check (cardinality(keys) <= 5),
  detail      jsonb not null default '{}',
  measured_at timestamptz not null,
  created_at  timestamptz not null default now(),
  updated_at  timestamptz not null default now(),
  primary key (policy, day, measure, subject)
);
create index quality_day on retention.quality (day);
comment on table retention.quality is 'What the governed data is like, a measurement a day: the latest and a few months before. Keys only, no content of any row.';
comment on column retention.quality.policy is 'The policy whose table was measured.';
comment on column retention.quality.day is 'The day of the measurement, UTC; a second one of a day replaces the first.';
comment on column retention.quality.measure is 'completeness: rows without a clock. timeliness: clocks ahead of now. reference: references that lead nowhere. uniqueness: keys that occur twice. profile: size and ages.';
comment on column retention.quality.subject is 'The column, or the table with its columns.';
comment on column retention.quality.status is 'ok; breached: beyond the threshold; guarded: a constraint makes it impossible, nothing was measured; unknown: could not be measured, detail says why.';
comment on column retention.quality.found is 'Rows at fault among those looked at.';
comment on column retention.quality.looked_at is 'Rows looked at; the whole table by the planner''s estimate where an index gave the count.';
comment on column retention.quality.share is 'found of looked_at.';
comment on column retention.quality.most is 'The declared threshold of the share; null where any share is expected.';
comment on column retention.quality.sampled is 'True: of a sample of the table''s blocks. None found there does not mean none there.';
comment on column retention.quality.keys is 'Keys of some rows at fault, five at most.';
comment on column retention.quality.detail is 'The profile, or why it is unknown and what to do.';
comment on column retention.quality.measured_at is 'When, by the clock of the service.';
comment on column retention.quality.created_at is 'When the row was written.';
comment on column retention.quality.updated_at is 'When the row last changed.';
create trigger lapse_touch before update on retention.quality for each row execute function retention.touch();

grant select, insert, update, delete on retention.quality to lapse_app;

-- The oldest entry that waits, however many do.
create index outbox_waiting on retention.outbox (created_at) where state in ('pending', 'deleting');
create index dead_letter_open_created_at on retention.dead_letter (created_at) where state = 'open';

-- Down Migration

drop index retention.dead_letter_open_created_at;
drop index retention.outbox_waiting;
drop table retention.quality;
