-- An erasure reaches every table of the data map: also those that no policy governs, rows that stay masked, and rows that know
-- the subject by an identifier, which is kept as a keyed hash only.

-- Up Migration

alter table retention.erasure add column identifiers jsonb not null default '{}';
comment on column retention.erasure.identifiers is
  'What else the subject is known by, e.g. its e-mail address: by name, keyed hashes (HMAC-SHA256) that nothing but LAPSE_RIGHTS_KEY can make. [confidential; personal: id of a person or organization; handling: pseudonym]';
alter table retention.erasure_step
  add column table_name text,
  add column action text not null default 'delete' check (action in ('delete', 'mask', 'detach'));
comment on column retention.erasure_step.table_name is 'schema.table whose rows these are; null for steps from before erasures named it. [internal]';
comment on column retention.erasure_step.action is
  'delete: rows went. mask: they stay, without what identifies the subject. detach: rows of others lost a reference. [internal]';
comment on column retention.erasure_step.policy is
  'The policy whose table was erased from; of a table without one, and of a mask, a name made of the table. [internal]';

-- Down Migration

drop function if exists retention.begin_erasure_step(uuid, text, text, text, uuid), retention.begin_erasure(uuid, text, jsonb),
  retention.request_erasure(text, text, text, text, bigint, jsonb);
alter table retention.erasure_step drop column action, drop column table_name;
alter table retention.erasure drop column identifiers;
comment on column retention.erasure_step.policy is 'The policy whose table was erased from. [internal]';
