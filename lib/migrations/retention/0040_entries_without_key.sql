-- Entries of the outbox no longer look up their run one by one: the app writes one only in the transaction of its batch, as many
-- as the receipt counts (retention.admit_entries), the receipt has the foreign key, and a run that entries name is not taken away
-- (retention.trim_records). It was a third of what writing an entry cost.

-- Up Migration

alter table retention.outbox drop constraint outbox_run_fkey;
comment on column retention.outbox.run is 'The run whose batch decided it, by the receipt that counts it; null for an orphan. [confidential]';
comment on index retention.outbox_run is 'The entries of a run, and of one batch.';

-- Down Migration

alter table retention.outbox add constraint outbox_run_fkey foreign key (run) references retention.run (id);
