-- What people decide on the console's pages: a hold has a day on which somebody looks whether it is still needed.

-- Up Migration

alter table retention.hold add column review_at timestamptz;
comment on column retention.hold.review_at is
  'When somebody has to look whether it is still needed; it stays in force until it is released. Null: no such day was named.';
create index hold_review on retention.hold (review_at) where released_at is null and review_at is not null;
comment on index retention.hold_review is 'Holds whose day of review has come.';
drop function if exists retention.place_hold(text, text, text, text, text);

-- Pages of what people decided are read from their newest on, however many there are.
create index hold_placed on retention.hold (placed_at, id);
comment on index retention.hold_placed is 'Holds of the console, newest first.';
create index extension_until on retention.extension (keep_until, id);
comment on index retention.extension_until is 'Extensions of the console, the one that lasts longest first.';
create index export_requested on retention.export (requested_at, id);
comment on index retention.export_requested is 'Exports of the console, newest first.';
create index restore_requested on retention.restore (requested_at, id);
comment on index retention.restore_requested is 'Restores of the console, newest first.';
create index erasure_requested on retention.erasure (requested_at, id);
comment on index retention.erasure_requested is 'Requests of the console, newest first.';
create index archive_created on retention.archive (created_at, id) where state = 'kept';
comment on index retention.archive_created is 'Archives of the console, newest first.';
create index notice_created on retention.notice (created_at, id);
comment on index retention.notice_created is 'Messages of the console, newest first.';

-- Down Migration

drop function if exists retention.place_hold(text, text, text, text, text, timestamptz, uuid);
drop function if exists retention.review_hold(text, text, uuid, timestamptz);
drop function if exists retention.set_extensions(text, text, text, text[], timestamptz, double precision);
drop function if exists retention.raise_rollout(text, text, text, text, int);
drop index retention.extension_until;
drop index retention.export_requested;
drop index retention.restore_requested;
drop index retention.erasure_requested;
drop index retention.archive_created;
drop index retention.hold_placed;
drop index retention.notice_created;
drop index retention.hold_review;
alter table retention.hold drop column review_at;
