-- An address that was entered by mistake may be taken off the blacklist: by an operator, one row, on the record.

-- Up Migration

insert into retention.permanent_table (table_name, key_columns) values ('public.email_blacklist', '{id}');

-- Down Migration

delete from retention.permanent_table where table_name = 'public.email_blacklist';
