-- A music school, invented to be adopted: what Prisma, Rails, Django, Drizzle and Supabase make of a schema, side by side,
-- with rows. No test of the engine uses it. Ages count back from now and lie a day at least from every cutoff asked for.

-- Prisma: camel case in quotes, timestamp(3) without zone, keys of text, an enum, a join table without a key of its own.
create type "LessonStatus" as enum ('PLANNED', 'HELD', 'CANCELLED');
create table "User" (id text primary key, email text not null unique, name text, "createdAt" timestamp(3) not null default current_timestamp);
create table "Session" (id text primary key, "sessionToken" text not null unique, "userId" text not null references "User"(id) on update cascade on delete cascade, expires timestamp(3) not null);
create table "VerificationToken" (identifier text not null, token text not null unique, expires timestamp(3) not null, unique (identifier, token));
create table "Lesson" (id text primary key, "teacherId" text not null references "User"(id) on delete restrict, status "LessonStatus" not null default 'PLANNED', "endedAt" timestamp(3), "deletedAt" timestamp(3));
create table "LessonNote" (id text primary key, "lessonId" text not null references "Lesson"(id) on delete cascade, body text not null);
create table "Tag" (id text primary key, label text not null);
create table "_LessonToTag" ("A" text not null references "Lesson"(id) on delete cascade, "B" text not null references "Tag"(id) on delete cascade);
create unique index "_LessonToTag_AB_unique" on "_LessonToTag" ("A", "B");
create table "_prisma_migrations" (id varchar(36) primary key, finished_at timestamptz, started_at timestamptz not null default now());

-- Rails: plural snake case, timestamp(6), bigint keys, discarded_at, polymorphic attachments.
create schema office;
create table office.schema_migrations (version varchar primary key);
create table office.ar_internal_metadata (key varchar primary key, value varchar, created_at timestamp(6) not null default now());
create table office.letters (id bigserial primary key, recipient varchar, body text, discarded_at timestamp(6), created_at timestamp(6) not null, updated_at timestamp(6) not null);
create table office.letter_pages (id bigserial primary key, letter_id bigint not null references office.letters(id) on delete cascade, number int not null);
create table office.scans (id bigserial primary key, letter_page_id bigint not null references office.letter_pages(id), created_at timestamp(6) not null);
create table office.invoices (id bigserial primary key, letter_id bigint references office.letters(id) on delete set null, total numeric not null, issued_at timestamp(6) not null);
create index on office.invoices (letter_id);
create table office.unsubscribed (email varchar primary key, unsubscribed_at timestamp(6) not null);
create table office.active_storage_attachments (id bigserial primary key, record_type varchar not null, record_id bigint not null, created_at timestamp(6) not null);

-- Django: a table an app, a session by its key.
create schema site;
create table site.auth_user (id serial primary key, username varchar(150) not null unique, password varchar(128) not null, email varchar(254) not null, date_joined timestamptz not null, last_login timestamptz);
create table site.django_session (session_key varchar(40) primary key, session_data text not null, expire_date timestamptz not null);
create index on site.django_session (expire_date);
create table site.django_migrations (id bigserial primary key, app varchar(255) not null, name varchar(255) not null, applied timestamptz not null);
create table site.django_admin_log (id serial primary key, action_time timestamptz not null, user_id int not null references site.auth_user(id) deferrable initially deferred);

-- Drizzle and Supabase: uuid keys, timestamptz, row-level security, files in the store, partitions, a tree, numbers for instants.
create schema drizzle;
create table drizzle.__drizzle_migrations (id serial primary key, hash text not null, created_at bigint);
create schema studio;
create table studio.recordings (id uuid primary key default gen_random_uuid(), org_id uuid not null, audio_url text, audio_bytes bigint, deleted_at timestamptz, created_at timestamptz not null default now());
create table studio.login_attempts (id uuid primary key default gen_random_uuid(), who text not null, at_host text, attempted_at timestamptz not null);
alter table studio.login_attempts enable row level security;
create policy own on studio.login_attempts using (who = current_user);
create table studio.folders (id uuid primary key default gen_random_uuid(), parent_id uuid references studio.folders(id) on delete cascade, deleted_at timestamptz);
create table studio.device_events (id bigserial primary key, created_at bigint not null, kind text not null);
create table studio.usage_events (id uuid not null default gen_random_uuid(), org_id uuid not null, occurred_at timestamptz not null, primary key (id, occurred_at)) partition by range (occurred_at);
create table studio.metronome (beats int not null, label text);
create table studio.outbox (id uuid primary key default gen_random_uuid(), sent_at timestamptz, payload jsonb not null default '{}');
create function studio.keep_outbox() returns trigger language plpgsql as $$ begin return null; end $$;
create trigger keep before delete on studio.outbox for each row execute function studio.keep_outbox();
create view studio.loud as select id from studio.recordings;
do $$
begin
  for m in 0..17 loop
    execute format('create table studio.usage_events_%s partition of studio.usage_events for values from (%L) to (%L)', m,
      date_trunc('month', now()) - make_interval(months => 17 - m), date_trunc('month', now()) - make_interval(months => 16 - m));
  end loop;
end $$;

-- Rows. `n` of 0 to 399: an age in whole days and a half.
insert into "User" (id, email, name) select 'c' || substr(md5('u' || n), 1, 24), 'pupil.' || n || '@example.org', 'Pupil ' || n from generate_series(1, 40) n;
insert into "Session" select 'c' || substr(md5('s' || n), 1, 24), md5('t' || n), 'c' || substr(md5('u' || 1 + n % 40), 1, 24), (now() at time zone 'UTC') + interval '20 days' - (n + 0.5) * interval '1 day' from generate_series(0, 399) n;
insert into "VerificationToken" select 'pupil.' || n || '@example.org', md5('v' || n), (now() at time zone 'UTC') - (n + 0.5) * interval '1 day' from generate_series(0, 399) n;
insert into "Lesson" select 'c' || substr(md5('l' || n), 1, 24), 'c' || substr(md5('u' || 1 + n % 5), 1, 24), 'HELD', (now() at time zone 'UTC') - (n + 0.5) * interval '1 day', case when n % 4 = 0 then (now() at time zone 'UTC') - (n + 0.5) * interval '1 day' end from generate_series(0, 399) n;
insert into "LessonNote" select 'c' || substr(md5('n' || n), 1, 24), 'c' || substr(md5('l' || n % 400), 1, 24), 'Practice more.' from generate_series(0, 799) n;
insert into "Tag" select 'c' || substr(md5('g' || n), 1, 24), 'tag ' || n from generate_series(1, 3) n;
insert into "_LessonToTag" select 'c' || substr(md5('l' || n), 1, 24), 'c' || substr(md5('g' || 1 + n % 3), 1, 24) from generate_series(0, 399) n;
insert into office.letters (recipient, body, discarded_at, created_at, updated_at) select 'parent.' || n || '@example.org', 'Dear parent', case when n % 2 = 0 then (now() at time zone 'UTC') - (n + 0.5) * interval '1 day' end, now() - interval '500 days', now() from generate_series(0, 399) n;
insert into office.letter_pages (letter_id, number) select id, 1 from office.letters;
insert into office.invoices (letter_id, total, issued_at) select id, 10, now() from office.letters where id % 10 = 0;
insert into office.unsubscribed select 'parent.' || n || '@example.org', (now() at time zone 'UTC') - (n + 0.5) * interval '1 day' from generate_series(0, 99) n;
insert into site.auth_user (username, password, email, date_joined) select 'staff' || n, md5(n::text), 'staff' || n || '@example.org', now() - interval '600 days' from generate_series(1, 5) n;
insert into site.django_session select md5('d' || n), md5('x' || n), now() + interval '10 days' - (n + 0.5) * interval '1 day' from generate_series(0, 399) n;
insert into site.django_admin_log (action_time, user_id) select now() - (n + 0.5) * interval '1 day', 1 + n % 5 from generate_series(0, 399) n;
insert into studio.recordings (org_id, audio_url, audio_bytes, deleted_at, created_at) select md5('o' || n % 3)::uuid, 'https://abc123.public.blob.vercel-storage.com/recordings/take-' || substr(md5('f' || n) || md5('h' || n), 1, 30) || '.mp3', 1000, case when n % 3 = 0 then now() - (n + 0.5) * interval '1 day' end, now() - interval '450 days' from generate_series(0, 399) n;
insert into studio.login_attempts (who, at_host, attempted_at) select 'pupil.' || n || '@example.org', '198.51.100.' || n % 250, now() - (n + 0.5) * interval '1 day' from generate_series(0, 399) n;
insert into studio.folders (deleted_at) select now() - (n + 0.5) * interval '1 day' from generate_series(0, 9) n;
insert into studio.device_events (created_at, kind) select extract(epoch from now() - n * interval '1 day') * 1000, 'tick' from generate_series(0, 99) n;
insert into studio.usage_events (org_id, occurred_at) select md5('o' || n % 3)::uuid, now() - (n + 0.5) * interval '1 day' from generate_series(0, 399) n;
insert into studio.outbox (sent_at) select now() - (n + 0.5) * interval '1 day' from generate_series(0, 99) n;
