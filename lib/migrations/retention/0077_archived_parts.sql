-- Archives of trees: of a row with more below it than one batch takes, each batch archives the rows that it deletes of it.

-- Up Migration

alter table retention.archive add column part_of text;
comment on column retention.archive.part_of is
  'The key of the row of which it holds a part, where that went over several batches. [confidential; personal: key of a row; handling: pseudonym]';
create index archive_part_of on retention.archive (part_of) where part_of is not null;
comment on index retention.archive_part_of is 'The archives of a row that went over several batches.';

-- Down Migration

alter table retention.archive drop column part_of;
