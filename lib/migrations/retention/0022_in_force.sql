-- A version of a policy that never got as far as deleting was never in force: correcting it waits for nothing.

-- Up Migration

alter table retention.policy_version add column in_force_at timestamptz;
comment on column retention.policy_version.in_force_at is
  'When a run of it first ended otherwise than refused or failed before its first delete; null: it was never in force, and counts for no cooling-off.';
-- What is not known is taken to have been in force.
update retention.policy_version set in_force_at = declared_at;

-- Down Migration

alter table retention.policy_version drop column in_force_at;
