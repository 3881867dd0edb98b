-- What a version was, word by word: so that a branch can be compared with what production last ran.

-- Up Migration

alter table retention.policy_version add column declaration jsonb check (jsonb_typeof(declaration) = 'object');
comment on column retention.policy_version.declaration is
  'The policy as its last run declared it, with its schedule, and the periods that the environment set; null for versions from before this column. [internal]';

-- Another argument, so another function: functions/guards.sql has it.
drop function if exists retention.declare_version(text, text, text, jsonb, text);

-- Down Migration

drop function if exists retention.declare_version(text, text, text, jsonb, text, jsonb);
alter table retention.policy_version drop column declaration;
