-- The report names what was done to the rows of a policy in a period: from the index alone, however many receipts there are.

-- Up Migration

create index receipt_policy_action on retention.receipt (policy, action, committed_at);
comment on index retention.receipt_policy_action is 'What was done under a policy, and whether within a period, for reports.';
drop index retention.receipt_policy_committed_at;

-- Down Migration

create index receipt_policy_committed_at on retention.receipt (policy, committed_at);
comment on index retention.receipt_policy_committed_at is 'The receipts of a policy within a period, for lineage and reports.';
drop index retention.receipt_policy_action;
