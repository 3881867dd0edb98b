-- An entry of the outbox says below which folder its file must lie, who may still hold it, and until when a drain
-- works on it: what the claim judges once more before a file goes.

-- Up Migration

alter table retention.outbox
  add column organizations text[] not null default '{}',
  add column users         text[] not null default '{}',
  add column owner_table   text,
  add column owner_key     text,
  add column prefix        text,
  add column suffixed      boolean not null default false,
  add column claimed_until timestamptz;
comment on column retention.outbox.organizations is 'Organizations of the deleted row and of the row it went with: a hold on one keeps the file.';
comment on column retention.outbox.users is 'Users of the deleted row and of the row it went with: a hold on one keeps the file.';
comment on column retention.outbox.owner_table is 'For a dependant: the table of the row it went with.';
comment on column retention.outbox.owner_key is 'For a dependant: the key of the row it went with.';
comment on column retention.outbox.prefix is 'Where the column''s files lie; a file elsewhere is not deleted. Null: written before prefixes were asked for.';
comment on column retention.outbox.suffixed is 'The policy says that the store gave the name its random suffix, so that it is never written again.';
comment on column retention.outbox.claimed_until is 'While a drain works on the entry: until when it may ask the store. A hold or a stop waits for it.';

alter table retention.outbox drop constraint outbox_state_check;
alter table retention.outbox add constraint outbox_state_check
  check (state in ('pending', 'deleting', 'held', 'deleted', 'kept', 'dead'));
comment on column retention.outbox.state is 'pending; deleting: claimed by a drain; held: a legal hold keeps the file, pending again when it is released; deleted: confirmed; kept: a live row still refers to it; dead: needs a person.';

create index outbox_claimed on retention.outbox (claimed_until) where claimed_until is not null;
create index outbox_held on retention.outbox (id) where state = 'held';
-- Asked by path only; and a name longer than an index takes must not stop a batch.
drop index retention.outbox_url;

-- What the app writes itself: new entries with their batch, and how they end. Never which file an entry is about.
revoke insert, update on retention.outbox from lapse_app;
grant insert (run, seq, policy, table_name, row_key, url, bytes, organizations, users, owner_table, owner_key, prefix, suffixed)
  on retention.outbox to lapse_app;
grant update (state, settled_as, attempts, next_attempt_at, error_class, claimed_until)
  on retention.outbox to lapse_app;

-- Down Migration

drop trigger if exists lapse_batch_only on retention.outbox;
drop trigger lapse_files on retention.hold;
drop trigger lapse_free_files on retention.hold;
drop trigger lapse_files on retention.kill_switch;
drop trigger lapse_files on retention.policy_state;
drop function retention.await_files(), retention.free_files();
grant insert, update on retention.outbox to lapse_app;
create index outbox_url on retention.outbox (url);
drop index retention.outbox_held, retention.outbox_claimed;
update retention.outbox set state = 'pending' where state = 'held';
alter table retention.outbox drop constraint outbox_state_check;
alter table retention.outbox add constraint outbox_state_check check (state in ('pending', 'deleting', 'deleted', 'kept', 'dead'));
alter table retention.outbox drop column claimed_until, drop column suffixed, drop column prefix, drop column owner_key,
  drop column owner_table, drop column users, drop column organizations;
-- So that going up makes them again.
update retention.applied_functions set sha256 = '';
