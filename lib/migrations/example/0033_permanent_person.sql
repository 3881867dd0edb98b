-- An address may also be taken off the blacklist by its keyed hash, without the id of its entry.

-- Up Migration

update retention.permanent_table set person_column = 'email' where table_name = 'public.email_blacklist';

-- Down Migration

update retention.permanent_table set person_column = null where table_name = 'public.email_blacklist';
