-- Up Migration

-- What hangs on a row may go before it, over several batches: such a receipt names rows that went along, and no governed row yet.
alter table retention.receipt drop constraint receipt_deleted_check;
alter table retention.receipt add constraint receipt_deleted_check
  check (deleted > 0 or dependants_deleted > 0 or action = 'drop_partition');

-- Down Migration

-- Receipts stay as they are, also those that only name what went along.
alter table retention.receipt drop constraint receipt_deleted_check;
alter table retention.receipt add constraint receipt_deleted_check check (deleted > 0 or action = 'drop_partition') not valid;
