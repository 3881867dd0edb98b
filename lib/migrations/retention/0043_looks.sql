-- A job that knows when it must ask next comes without asking; until then its attendance is in Redis.

-- Up Migration

alter table retention.watched add column in_redis_since timestamptz;
comment on column retention.watched.in_redis_since is
  'Since when it may come without asking PostgreSQL, its attendance being kept in Redis; null: each call is noted here. [internal]';

-- Down Migration

alter table retention.watched drop column in_redis_since;
