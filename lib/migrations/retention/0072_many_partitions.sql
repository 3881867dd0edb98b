-- Opening and guarding partitions is done some at a time, and answers how many are left.

-- Up Migration

drop function if exists retention.open_partitions(text);
drop function if exists retention.protect(text);

-- Down Migration

drop function if exists retention.open_partitions(text);
drop function if exists retention.protect(text);
