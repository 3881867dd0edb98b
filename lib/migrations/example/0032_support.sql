-- What people write to support, and who answers: no policy governs it, and most of it names its person only through other
-- rows. An erasure finds it by the data map, so the app may take rows of these tables, and what names a person out of others.

-- Up Migration

create table support_tickets (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references users (id) on delete cascade,
  topic text not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index support_tickets_user_id on support_tickets (user_id);
create trigger touch before update on support_tickets for each row execute function touch_updated_at();
comment on table support_tickets is 'What a person asked of support.';
comment on column support_tickets.id is 'Identifies the row.';
comment on column support_tickets.user_id is 'Who asked. Personal data.';
comment on column support_tickets.topic is 'About what. Personal data.';
comment on column support_tickets.created_at is 'When the row was written.';
comment on column support_tickets.updated_at is 'When the row last changed.';

create table support_messages (
  id uuid primary key default gen_random_uuid(),
  ticket_id uuid not null references support_tickets (id) on delete cascade,
  answers_id uuid references support_messages (id) on delete cascade,
  body text not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index support_messages_ticket_id on support_messages (ticket_id);
create index support_messages_answers_id on support_messages (answers_id);
create trigger touch before update on support_messages for each row execute function touch_updated_at();
comment on table support_messages is 'Messages of a ticket, each an answer to another or to none.';
comment on column support_messages.id is 'Identifies the row.';
comment on column support_messages.ticket_id is 'Of which ticket: it says whose message it is.';
comment on column support_messages.answers_id is 'Which message it answers.';
comment on column support_messages.body is 'What was written. Personal data.';
comment on column support_messages.created_at is 'When the row was written.';
comment on column support_messages.updated_at is 'When the row last changed.';

grant select on support_tickets, support_messages to lapse_app;
grant delete, update (id) on users, consents, support_tickets, support_messages to lapse_app;
grant update (owner_id) on organizations to lapse_app;
grant update (user_id) on purchases, orders to lapse_app;
select retention.protect('public.' || t) from unnest(array['users', 'consents', 'support_tickets', 'support_messages']) t;

-- Down Migration

revoke update (user_id) on purchases, orders from lapse_app;
revoke update (owner_id) on organizations from lapse_app;
revoke delete, update (id) on users, consents from lapse_app;
drop trigger lapse_guard on users;
drop trigger lapse_guard on consents;
drop table support_messages, support_tickets;
