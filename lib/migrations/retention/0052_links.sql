-- Signed links let their recipient do one thing, once. What a link says is in the link itself; here is which were used.

-- Up Migration

create table retention.link_use (
  id         uuid primary key,
  purpose    text not null check (purpose <> ''),
  expires_at timestamptz not null,
  used_at    timestamptz not null default clock_timestamp()
);
create index link_use_expired on retention.link_use (expires_at);
comment on table retention.link_use is 'Links that were used: none works twice. Gone when the link would have expired anyway. [internal; kept: link_uses; append-only]';
comment on column retention.link_use.id is 'The link''s own id, which is signed with it. [internal]';
comment on column retention.link_use.purpose is 'What it was for, e.g. notice.extend. [internal]';
comment on column retention.link_use.expires_at is 'When it would have expired.';
comment on column retention.link_use.used_at is 'When it was used.';
comment on index retention.link_use_expired is 'What may be taken away.';

grant select on retention.link_use to lapse_app;

-- Down Migration

drop table retention.link_use;
