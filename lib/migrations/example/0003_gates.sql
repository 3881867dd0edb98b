-- Whatever decides what may go has a gate: a change waits for the running batches, and the next one sees it.

-- Up Migration

create trigger lapse_gate before insert or update or delete on organizations
  for each statement execute function retention.gate();

-- Down Migration

drop trigger lapse_gate on organizations;
