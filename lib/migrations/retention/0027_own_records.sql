-- Lapse's own records have periods too: what is needed to find them, and what stands for receipts that were taken away.

-- Up Migration

create index outbox_named on retention.outbox (updated_at)
  where state in ('deleted', 'kept') and url not like 'sha256:%';
create index run_dry_run_finished_at on retention.run (finished_at) where mode = 'dry_run';

alter table retention.run add column evidence_until timestamptz;
comment on column retention.run.evidence_until is 'When its receipts were taken away behind a signed head; null while they are there.';

create table retention.evidence_anchor (
  n          bigint primary key check (n >= 1),
  hash       text not null,
  entry_at   timestamptz not null,
  head       text not null,
  signature  text not null check (signature <> ''),
  public_key text not null check (public_key <> ''),
  receipts   bigint not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create trigger lapse_touch before update on retention.evidence_anchor for each row execute function retention.touch();
comment on table retention.evidence_anchor is 'Up to which entry of the audit chain receipts were taken away after their period: its signed head stands for them.';
comment on column retention.evidence_anchor.n is 'Number of the entry: runs that it or one before it sealed have no receipts any more.';
comment on column retention.evidence_anchor.hash is 'Its hash.';
comment on column retention.evidence_anchor.entry_at is 'When that entry was written.';
comment on column retention.evidence_anchor.head is 'What was signed: installation, n, hash, at, exportedAt as JSON.';
comment on column retention.evidence_anchor.signature is 'Ed25519 over exactly the bytes of head, base64.';
comment on column retention.evidence_anchor.public_key is 'The key to verify it with, SPKI DER in base64.';
comment on column retention.evidence_anchor.receipts is 'How many receipts were taken away with it.';
comment on column retention.evidence_anchor.created_at is 'When they were taken away.';
comment on column retention.evidence_anchor.updated_at is 'When the row last changed.';
grant select on retention.evidence_anchor to lapse_app;

-- Down Migration

do $$ begin
  if exists (select 1 from retention.evidence_anchor) then
    raise exception 'lapse: receipts were taken away; without the signed head their runs could not be verified';
  end if;
end $$;
drop table retention.evidence_anchor;
alter table retention.run drop column evidence_until;
drop index retention.run_dry_run_finished_at;
drop index retention.outbox_named;
