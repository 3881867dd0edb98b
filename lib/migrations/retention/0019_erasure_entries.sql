-- Requests to erase from before they had entries in the audit chain get one each, so that from here on a request
-- without an entry is one that somebody wrote past the functions.

-- Up Migration

insert into retention.audit_entry (actor, action, subject, reason, detail)
select 'lapse', 'erasure.requested', e.id::text, e.reason, jsonb_build_object('scope', e.scope, 'rows', null,
  'requested_by', e.requested_by, 'subject_sha256', encode(sha256(convert_to(e.scope || ':' || e.subject, 'UTF8')), 'hex'),
  'needs_second', false, 'before', true)
from retention.erasure e order by e.requested_at, e.id;

-- Down Migration

-- Entries stay: the chain only grows.
select;
