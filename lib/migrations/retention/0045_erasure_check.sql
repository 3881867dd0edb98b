-- An erasure ends when a check of its own found nothing, with a certificate that the audit chain binds.

-- Up Migration

alter table retention.erasure add column checked jsonb, add column certificate text;
comment on column retention.erasure.checked is
  'How far the independent check is and what it saw: tables, columns and counts, no values. [internal]';
comment on column retention.erasure.certificate is
  'What was certified when it ended, without its signature: hashes and counts, no person. Null before, and for requests that ended before there was one. [internal]';
drop function if exists retention.finish_erasure(uuid, text);

-- Down Migration

drop function if exists retention.finish_erasure(uuid, text, text), retention.note_erasure_check(uuid, jsonb),
  retention.queue_erasure_files(uuid, text, jsonb);
alter table retention.erasure drop column certificate, drop column checked;
