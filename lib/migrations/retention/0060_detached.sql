-- A batch may take references away: of rows that stay, and that referred to rows that go. Its receipt names them, too.

-- Up Migration

alter table retention.receipt add column detached jsonb;
comment on column retention.receipt.detached is
  'Keys of rows that stay and lost a reference to a row that went, by table, once a reference; null where there are none. [confidential; personal: keys of rows; handling: pseudonym]';

-- Down Migration

alter table retention.receipt drop column detached;
