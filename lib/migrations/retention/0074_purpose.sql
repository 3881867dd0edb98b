-- Why a run was begun: an erasure runs under the policy's name too, and says nothing of how the policy stands; without a receipt
-- that could only be guessed. And whether what a policy leaves behind grows with each of its runs.

-- Up Migration

alter table retention.run add column purpose text check (purpose in ('retention', 'erasure'));
comment on column retention.run.purpose is
  'retention: rows whose time was over; erasure: the rows of somebody who is erased. Null: a run of before this was written down. [internal]';
drop function if exists retention.begin_run(text, uuid, text, timestamptz, text, text, text);

alter table retention.forecast add column growing int not null default 0;
comment on column retention.forecast.growing is
  'How many runs in a row left more rows before their cutoff than the one before; 0 when the last one left as many or fewer. [internal]';

-- Down Migration

drop function if exists retention.begin_run(text, uuid, text, timestamptz, text, text, text, text);
drop function if exists retention.note_run_asked(text, text, text, uuid);
update retention.applied_functions set sha256 = '';
alter table retention.forecast drop column growing;
alter table retention.run drop column purpose;
