-- What a receipt calls its action is said by the strategy of its policy, a file each: a list of them here would be a second
-- place to change. Only retention.write_receipt writes it.

-- Up Migration

alter table retention.receipt drop constraint receipt_action_check;
alter table retention.receipt add constraint receipt_action_check check (action ~ '^[a-z]+(_[a-z]+)*$') not valid;
alter table retention.receipt validate constraint receipt_action_check;
comment on column retention.receipt.action is
  'What happened to the rows, as the strategy of the policy calls it: delete, soft_delete, mask; or drop_partition.';

-- Down Migration

alter table retention.receipt drop constraint receipt_action_check;
alter table retention.receipt add constraint receipt_action_check check (action in ('delete', 'soft_delete', 'drop_partition')) not valid;
comment on column retention.receipt.action is 'delete, soft_delete or drop_partition.';
