-- What people ask of the past, from an index however long it is: what was done in a period, and what is on record about somebody.

-- Up Migration

create index receipt_policy_action on retention.receipt (policy, action, committed_at);
comment on index retention.receipt_policy_action is 'What was done under a policy, and whether within a period, for reports.';
drop index retention.receipt_policy_committed_at;
create index receipt_detached on retention.receipt (policy, committed_at) where detached <> '{}';
comment on index retention.receipt_detached is 'The receipts of a period that took references away, for reports.';
create index run_policy_page on retention.run (policy, started_at desc, id desc);
comment on index retention.run_policy_page is 'The latest runs of a policy page by page, and those of a period.';
drop index retention.run_policy_started_at;
create index erasure_subject on retention.erasure using hash (subject);
comment on index retention.erasure_subject is 'Every request there ever was about a subject.';
create index erasure_identifiers on retention.erasure using gin (jsonb_path_query_array(identifiers, '$.*[*]'));
comment on index retention.erasure_identifiers is 'The requests about who has an address, by its keyed hash.';
create index notice_recipient on retention.notice using hash (recipient);
comment on index retention.notice_recipient is 'The messages to an address, by its keyed hash.';
create index dead_letter_created on retention.dead_letter (policy, created_at);
comment on index retention.dead_letter_created is 'How many letters of a policy came in a period, for reports.';
create index hold_open on retention.hold (placed_at) where released_at is null;
comment on index retention.hold_open is 'The holds in force, and whether there is any.';
create index extension_keep_until on retention.extension (keep_until, table_name);
comment on index retention.extension_keep_until is 'The extensions in force, and whether a table has any.';
create index notice_part_goes_at on retention.notice_part (goes_at, threshold_days, delivered_at) where announced_at is not null;
comment on index retention.notice_part_goes_at is 'What was announced of each day, for the calendar.';

-- Down Migration

drop index retention.notice_part_goes_at;
drop index retention.extension_keep_until;
drop index retention.hold_open;
drop index retention.dead_letter_created;
drop index retention.notice_recipient;
drop index retention.erasure_identifiers;
drop index retention.erasure_subject;
create index run_policy_started_at on retention.run (policy, started_at desc);
comment on index retention.run_policy_started_at is 'The latest runs of a policy, and those of a period.';
drop index retention.run_policy_page;
drop index retention.receipt_detached;
create index receipt_policy_committed_at on retention.receipt (policy, committed_at);
comment on index retention.receipt_policy_committed_at is 'The receipts of a policy within a period, for lineage and reports.';
drop index retention.receipt_policy_action;
