-- Three tables that policies of the proof archive: with a uuid, two columns and a text as keys, with what goes along and files,
-- and with a column of every kind of type that is easily spoiled on the way.
create type mood as enum ('fine', 'not so');
create table reports (
  id uuid primary key default gen_random_uuid(), at timestamptz not null, org uuid not null, person uuid,
  title varchar(200), body text, amount numeric(20, 6), ratio double precision, tags text[], extra jsonb, raw json, bits bytea,
  feeling mood, span tstzrange, day date, clock time, code char(5), ok boolean, pause interval, address inet, file text,
  twice numeric generated always as (amount * 2) stored
);
create index on reports (at, id);
create index on reports (retention.blob_path(file));
create table report_lines (
  id bigint generated always as identity primary key, report uuid not null references reports on delete cascade,
  words text, file text
);
create index on report_lines (report);
create index on report_lines (retention.blob_path(file));
create table invoices (
  org uuid not null, n int not null, at timestamp not null, lines jsonb, primary key (org, n)
);
create index on invoices (at, org, n);
create table invoice_notes (
  id uuid primary key default gen_random_uuid(), org uuid not null, n int not null, words text,
  foreign key (org, n) references invoices on delete cascade
);
create index on invoice_notes (org, n);
create table visits (slug text primary key, at timestamptz not null, person uuid, agent text);
create index on visits (at, slug);
grant select, update, delete on reports, report_lines, invoices, invoice_notes, visits to lapse_app;
grant select, insert on reports, report_lines, invoices, invoice_notes, visits to lapse_operator;
select retention.protect('public.' || t) from unnest(array['reports', 'report_lines', 'invoices', 'invoice_notes', 'visits']) t;
