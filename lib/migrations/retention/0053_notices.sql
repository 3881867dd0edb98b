-- Notices before deletion: what an organization was told, of which rows, and whether the message was delivered. A policy may
-- keep what nobody was told of; what makes rows deletable is therefore written by functions only (functions/notices.sql).

-- Up Migration

create table retention.notice (
  id            uuid primary key default gen_random_uuid(),
  tenant        text not null check (tenant <> ''),
  recipient     text not null check (recipient ~ '^[0-9a-f]{64}$'),
  state         text not null default 'open' check (state in ('open', 'delivered', 'unsure')),
  required      boolean not null,
  attempts      int not null default 1 check (attempts > 0),
  claimed_until timestamptz not null,
  sending       boolean not null default true,
  error         text check (error <> ''),
  settled_at    timestamptz check ((state = 'open') = (settled_at is null)),
  created_at    timestamptz not null default now(),
  updated_at    timestamptz not null default now()
);
create unique index notice_open on retention.notice (tenant) where state = 'open';
create index notice_settled on retention.notice (settled_at) where state <> 'open';
create trigger lapse_touch before update on retention.notice for each row execute function retention.touch();
comment on table retention.notice is 'Messages to organizations about rows that will go, one for all policies: claimed before it is sent. [confidential; kept: notices]';
comment on column retention.notice.id is 'Identifies the message: it is part of its Message-ID.';
comment on column retention.notice.tenant is 'The organization. [confidential; personal: id of an organization; handling: pseudonym]';
comment on column retention.notice.recipient is 'Keyed hash of the address: tells addresses apart, and names none. [confidential; personal: keyed hash of an address; handling: period]';
comment on column retention.notice.state is 'open: not known to be delivered, tried again. delivered: taken by the recipient''s mail server or relay. unsure: perhaps delivered, and not repeated. [internal]';
comment on column retention.notice.required is 'A policy keeps rows until it is delivered.';
comment on column retention.notice.attempts is 'How often it was claimed.';
comment on column retention.notice.claimed_until is 'Until then one instance is sending it; of an open one, not tried before.';
comment on column retention.notice.sending is 'Claimed, and no answer is known: it may have been sent.';
comment on column retention.notice.error is 'Why the last attempt failed, by its class. [internal]';
comment on column retention.notice.settled_at is 'When it was delivered or given up.';
comment on column retention.notice.created_at is 'When the row was written.';
comment on column retention.notice.updated_at is 'When the row last changed.';
comment on index retention.notice_open is 'One at a time for each organization.';
comment on index retention.notice_settled is 'What may be taken away.';

create table retention.notice_part (
  notice         uuid not null references retention.notice (id) on delete cascade,
  policy         text not null check (policy <> ''),
  tenant         text not null check (tenant <> ''),
  threshold_days int not null check (threshold_days > 0),
  keep_seconds   bigint not null check (keep_seconds > 0),
  since          timestamptz not null,
  before         timestamptz not null check (before > since),
  found          bigint not null check (found >= 0),
  digest         text not null check (digest ~ '^[0-9a-f]{64}$'),
  goes_at        timestamptz not null,
  keep_until     timestamptz,
  announced_at   timestamptz,
  delivered_at   timestamptz check (announced_at is not null or delivered_at is null),
  created_at     timestamptz not null default now(),
  updated_at     timestamptz not null default now(),
  primary key (notice, policy, threshold_days)
);
create index notice_part_told on retention.notice_part (policy, tenant, keep_seconds, before) where announced_at is not null;
create trigger lapse_touch before update on retention.notice_part for each row execute function retention.touch();
comment on table retention.notice_part is 'What a message says of one policy at one threshold: rows of the organization with clocks in [since, before). [confidential; kept: notices]';
comment on column retention.notice_part.notice is 'The message.';
comment on column retention.notice_part.policy is 'The policy whose rows. [internal]';
comment on column retention.notice_part.tenant is 'The organization, as in the message. [confidential; personal: id of an organization; handling: pseudonym]';
comment on column retention.notice_part.threshold_days is 'The threshold: told at least so many days before.';
comment on column retention.notice_part.keep_seconds is 'The period it spoke of: under another one it does not count.';
comment on column retention.notice_part.since is 'Clocks from this instant on: what is older was announced before.';
comment on column retention.notice_part.before is 'Clocks before this instant.';
comment on column retention.notice_part.found is 'Rows that were counted, to a limit.';
comment on column retention.notice_part.digest is 'Hash of what was counted, in the order of the walk. [internal]';
comment on column retention.notice_part.goes_at is 'The first instant at which one of them may go.';
comment on column retention.notice_part.keep_until is 'Until when its link may keep them; null: there is no such link.';
comment on column retention.notice_part.announced_at is 'When the message was settled: what is announced is not announced again at this threshold.';
comment on column retention.notice_part.delivered_at is 'When the message was delivered, where it was: what a policy that requires it goes by.';
comment on column retention.notice_part.created_at is 'When the row was written.';
comment on column retention.notice_part.updated_at is 'When the row last changed.';
comment on index retention.notice_part_told is 'Whether a row was announced under the period that counts; asked for each row of a policy that requires it.';

create table retention.notice_stop (
  tenant     text not null check (tenant <> ''),
  recipient  text not null check (recipient ~ '^[0-9a-f]{64}$'),
  link       uuid not null,
  created_at timestamptz not null default clock_timestamp(),
  primary key (tenant, recipient)
);
comment on table retention.notice_stop is 'Recipients who want no messages but the required ones. [confidential; kept: in force; append-only]';
comment on column retention.notice_stop.tenant is 'The organization. [confidential; personal: id of an organization; handling: pseudonym]';
comment on column retention.notice_stop.recipient is 'Keyed hash of the address. [confidential; personal: keyed hash of an address; handling: pseudonym]';
comment on column retention.notice_stop.link is 'The link by which it was said.';
comment on column retention.notice_stop.created_at is 'When.';

-- Taking an announcement back makes rows stay: whoever does it waits for the running batches, as a hold does.
create trigger lapse_gate after delete on retention.notice_part for each row when (old.delivered_at is not null)
  execute function retention.gate();

grant select on retention.notice, retention.notice_part, retention.notice_stop to lapse_app;

-- Down Migration

drop table retention.notice_stop;
drop table retention.notice_part;
drop table retention.notice;
