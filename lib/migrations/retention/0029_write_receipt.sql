-- A receipt is written by one function, which takes policy, version and actor from the run; the app's role loses the right
-- to write the table by itself, and with it goes the trigger that checked what it wrote.

-- Up Migration

drop trigger if exists lapse_admit on retention.receipt;

-- Down Migration

grant insert (run, seq, policy, policy_version, action, actor, reason, as_of, table_name, keys, uuid_keys, dependants, by_rule,
  locked, deleted, dependants_deleted, files, bytes, picked, kept, cursor_after) on retention.receipt to lapse_app;
