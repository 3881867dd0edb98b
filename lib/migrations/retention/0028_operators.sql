-- Who may act, known to the database itself: one set of credentials, that of the app, is nobody's own token.

-- Up Migration

create table retention.operator (
  name         text primary key check (name ~ '^[a-z][a-z0-9._-]{0,63}$'),
  token_sha256 text[] not null check (cardinality(token_sha256) between 1 and 2),
  created_at   timestamptz not null default now(),
  updated_at   timestamptz not null default now()
);
create trigger lapse_touch before update on retention.operator for each row execute function retention.touch();
comment on table retention.operator is 'Operators by name, written by the owner (npm run migrate with LAPSE_OPERATORS), read by nobody else. With a row in it, whoever has not the rights of its owner acts only with the token of the name they give; while it is empty, a name is enough.';
comment on column retention.operator.name is 'As in LAPSE_OPERATORS.';
comment on column retention.operator.token_sha256 is 'SHA-256 of the token, as hex digits; two while it is being changed.';
comment on column retention.operator.created_at is 'When the operator was bound to the database.';
comment on column retention.operator.updated_at is 'When the row last changed.';

-- Down Migration

drop table retention.operator;
