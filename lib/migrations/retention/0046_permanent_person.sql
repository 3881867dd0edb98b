-- An entry of a permanent table can be taken out by the keyed hash of its address: the table's owner says which column
-- has it. The request then needs no id, and neither the database nor the audit chain is told the address.

-- Up Migration

alter table retention.permanent_table add column person_column text check (person_column <> '');
comment on column retention.permanent_table.person_column is
  'Column with the address or number by whose keyed hash a row may be removed; null where only by its key. [internal]';
drop function if exists retention.remove_permanent(text, text, text, text[]);

-- Down Migration

drop function if exists retention.remove_permanent(text, text, text, text[], text, text, text);
alter table retention.permanent_table drop column person_column;
