-- What people decide on the console's pages: a hold has a day on which somebody looks whether it is still needed.

-- Up Migration

alter table retention.hold add column review_at timestamptz;
comment on column retention.hold.review_at is
  'When somebody has to look whether it is still needed; it stays in force until it is released. Null: no such day was named.';
create index hold_review on retention.hold (review_at) where released_at is null and review_at is not null;
comment on index retention.hold_review is 'Holds whose day of review has come.';
drop function if exists retention.place_hold(text, text, text, text, text);

-- Down Migration

drop function if exists retention.place_hold(text, text, text, text, text, timestamptz);
drop function if exists retention.review_hold(text, text, uuid, timestamptz);
drop function if exists retention.set_extensions(text, text, text, text[], timestamptz, double precision);
drop function if exists retention.raise_rollout(text, text, text, text, int);
drop index retention.hold_review;
alter table retention.hold drop column review_at;
