-- Which level keeps rows: of those that a run left, how many another row kept, one below them or one that refers to them, by
-- its table. A run of before says none. Receipts count by both at once, and their hash holds it.

-- Up Migration

alter table retention.run add column kept_below jsonb not null default '{}';
comment on column retention.run.kept_below is
  'Of kept, the rows that another row keeps, below them or one that refers to them: by reason and by its table. [internal]';
comment on column retention.receipt.kept is
  'Rows looked at that stayed, by reason; held by public.invoices counts those that a row of that table keeps. [internal]';

-- Down Migration

comment on column retention.receipt.kept is 'Rows looked at that stayed, by reason. [internal]';
alter table retention.run drop column kept_below;
