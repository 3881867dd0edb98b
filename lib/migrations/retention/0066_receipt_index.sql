-- Any key is found in the receipts without reading them: the keys of sealed receipts, four bytes each, in an index. It is made behind
-- the runs, never by a batch, and it is no evidence: what it finds is compared with the receipt itself.

-- Up Migration

create table retention.receipt_index (
  receipt    bigint primary key references retention.receipt (id) on delete cascade,
  marks      int[] not null,
  created_at timestamptz not null default now()
);
create index receipt_index_marks on retention.receipt_index using gin (marks);
grant select on retention.receipt_index to lapse_app;
comment on table retention.receipt_index is 'Where to look for a key: four bytes of the hash of each key that a receipt names. Made behind the runs; the receipt alone proves. Append-only. [internal; kept: receipts; append-only]';
comment on column retention.receipt_index.receipt is 'The receipt.';
comment on column retention.receipt_index.marks is 'The first four bytes of the SHA-256 of each key in it, those of dependants too.';
comment on column retention.receipt_index.created_at is 'When it was indexed.';
comment on index retention.receipt_index_marks is 'The receipts that may name a key.';

alter table retention.run add column indexed_at timestamptz;
comment on column retention.run.indexed_at is 'When the last of its receipts was indexed; null: a key is looked for in the receipts themselves.';
create index run_unindexed on retention.run (started_at) where mode = 'delete' and indexed_at is null and (finished_at is null or batches > 0);
comment on index retention.run_unindexed is 'The runs whose receipts are not indexed yet.';
create index run_started_at on retention.run (started_at desc, id desc);
comment on index retention.run_started_at is 'The latest runs of all policies, and those of a period.';

create index audit_entry_action on retention.audit_entry (action, n);
comment on index retention.audit_entry_action is 'The entries of one act, in their order.';
create index audit_entry_actor on retention.audit_entry (actor, n);
comment on index retention.audit_entry_actor is 'What one operator or service did, in its order.';
create index audit_entry_policy on retention.audit_entry ((coalesce(detail ->> 'policy', subject)), n);
comment on index retention.audit_entry_policy is 'The entries about one policy, in their order.';
create index hold_subject on retention.hold using hash (subject);
comment on index retention.hold_subject is 'Every hold there ever was on a subject.';

-- Down Migration

drop index retention.hold_subject;
drop index retention.audit_entry_policy;
drop index retention.audit_entry_actor;
drop index retention.audit_entry_action;
drop index retention.run_started_at;
drop index retention.run_unindexed;
alter table retention.run drop column indexed_at;
drop table retention.receipt_index;
