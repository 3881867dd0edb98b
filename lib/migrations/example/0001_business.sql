-- The example business schema: what the shipped policies govern. For the local cloud, previews and tests;
-- an existing database has tables of its own and needs only the set `retention`. No card data anywhere.

-- Up Migration

create function touch_updated_at() returns trigger language plpgsql as $$
begin
  new.updated_at := clock_timestamp();
  return new;
end $$;
comment on function touch_updated_at() is 'Keeps updated_at true.';

create table users (
  id uuid primary key default gen_random_uuid(),
  email text not null unique,
  name text not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create trigger touch before update on users for each row execute function touch_updated_at();
comment on table users is 'People who use the product.';
comment on column users.id is 'Identifies the row.';
comment on column users.email is 'Address to sign in with. Personal data.';
comment on column users.name is 'Name as given. Personal data.';
comment on column users.created_at is 'When the row was written.';
comment on column users.updated_at is 'When the row last changed.';

create table organizations (
  id uuid primary key default gen_random_uuid(),
  name text not null,
  owner_id uuid references users (id) on delete set null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index organizations_owner_id on organizations (owner_id);
create trigger touch before update on organizations for each row execute function touch_updated_at();
comment on table organizations is 'Customers: what is billed and what holds are placed on.';
comment on column organizations.id is 'Identifies the row.';
comment on column organizations.name is 'Name of the customer.';
comment on column organizations.owner_id is 'Who created it.';
comment on column organizations.created_at is 'When the row was written.';
comment on column organizations.updated_at is 'When the row last changed.';

create table subscriptions (
  id uuid primary key default gen_random_uuid(),
  organization_id uuid not null references organizations (id) on delete cascade,
  plan text not null check (plan in ('free', 'basic', 'pro', 'enterprise')),
  status text not null check (status in ('trialing', 'active', 'past_due', 'canceled')),
  started_at timestamptz not null default now(),
  ended_at timestamptz check (ended_at >= started_at),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create unique index subscriptions_one_active on subscriptions (organization_id) where status in ('active', 'trialing');
create index subscriptions_organization_id on subscriptions (organization_id);
create trigger touch before update on subscriptions for each row execute function touch_updated_at();
comment on table subscriptions is 'Which plan an organization pays for, over time.';
comment on column subscriptions.id is 'Identifies the row.';
comment on column subscriptions.organization_id is 'Whose plan.';
comment on column subscriptions.plan is 'The tier that decides how long artifacts are kept.';
comment on column subscriptions.status is 'Only active and trialing count.';
comment on column subscriptions.started_at is 'Since when.';
comment on column subscriptions.ended_at is 'Until when; null while it lasts.';
comment on column subscriptions.created_at is 'When the row was written.';
comment on column subscriptions.updated_at is 'When the row last changed.';

create table quiz_responses (
  id uuid primary key default gen_random_uuid(),
  user_id uuid references users (id) on delete cascade,
  organization_id uuid references organizations (id) on delete cascade,
  quiz text not null,
  answers jsonb not null default '{}',
  started_at timestamptz not null default now(),
  completed_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index quiz_responses_clock on quiz_responses (completed_at, id);
create index quiz_responses_user_id on quiz_responses (user_id);
create index quiz_responses_organization_id on quiz_responses (organization_id);
create trigger touch before update on quiz_responses for each row execute function touch_updated_at();
comment on table quiz_responses is 'Answers of a person to a quiz.';
comment on column quiz_responses.id is 'Identifies the row.';
comment on column quiz_responses.user_id is 'Who answered. Personal data.';
comment on column quiz_responses.organization_id is 'Whose quiz.';
comment on column quiz_responses.quiz is 'Which quiz.';
comment on column quiz_responses.answers is 'The answers. Personal data.';
comment on column quiz_responses.started_at is 'When it was begun.';
comment on column quiz_responses.completed_at is 'When it was completed; null while unfinished. The clock of quiz-responses.';
comment on column quiz_responses.created_at is 'When the row was written.';
comment on column quiz_responses.updated_at is 'When the row last changed.';

create table generated_pdfs (
  id uuid primary key default gen_random_uuid(),
  user_id uuid references users (id) on delete cascade,
  organization_id uuid references organizations (id) on delete cascade,
  purchase_status text not null default 'unpurchased' check (purchase_status in ('unpurchased', 'purchased', 'refunded')),
  file_url text,
  file_bytes bigint check (file_bytes >= 0),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index generated_pdfs_clock on generated_pdfs (purchase_status, created_at, id);
create index generated_pdfs_file_url on generated_pdfs (file_url);
create index generated_pdfs_user_id on generated_pdfs (user_id);
create index generated_pdfs_organization_id on generated_pdfs (organization_id);
create trigger touch before update on generated_pdfs for each row execute function touch_updated_at();
comment on table generated_pdfs is 'Documents made for a person, bought or not.';
comment on column generated_pdfs.id is 'Identifies the row.';
comment on column generated_pdfs.user_id is 'For whom. Personal data.';
comment on column generated_pdfs.organization_id is 'Whose document.';
comment on column generated_pdfs.purchase_status is 'Decides how long it is kept.';
comment on column generated_pdfs.file_url is 'The blob; null when it was never made.';
comment on column generated_pdfs.file_bytes is 'Its size.';
comment on column generated_pdfs.created_at is 'When the row was written.';
comment on column generated_pdfs.updated_at is 'When the row last changed.';

create table purchases (
  id uuid primary key default gen_random_uuid(),
  user_id uuid references users (id) on delete set null,
  generated_pdf_id uuid references generated_pdfs (id) on delete set null,
  amount_cents int not null check (amount_cents >= 0),
  currency text not null check (currency ~ '^[a-z]{3}$'),
  paid_at timestamptz not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index purchases_user_id on purchases (user_id);
create index purchases_generated_pdf_id on purchases (generated_pdf_id);
create trigger touch before update on purchases for each row execute function touch_updated_at();
comment on table purchases is 'What was bought: accounting records, kept without the document. No card data.';
comment on column purchases.id is 'Identifies the row.';
comment on column purchases.user_id is 'Who bought. Personal data.';
comment on column purchases.generated_pdf_id is 'The document, while it exists.';
comment on column purchases.amount_cents is 'Price in cents.';
comment on column purchases.currency is 'ISO 4217, lower case.';
comment on column purchases.paid_at is 'When it was paid.';
comment on column purchases.created_at is 'When the row was written.';
comment on column purchases.updated_at is 'When the row last changed.';

create table magic_links (
  id uuid primary key default gen_random_uuid(),
  user_id uuid references users (id) on delete cascade,
  token_hash text not null unique,
  issued_at timestamptz not null default now(),
  used_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index magic_links_clock on magic_links (issued_at, id);
create index magic_links_user_id on magic_links (user_id);
create trigger touch before update on magic_links for each row execute function touch_updated_at();
comment on table magic_links is 'Tokens to sign in by e-mail.';
comment on column magic_links.id is 'Identifies the row.';
comment on column magic_links.user_id is 'For whom. Personal data.';
comment on column magic_links.token_hash is 'Hash of the token.';
comment on column magic_links.issued_at is 'When it was issued. The clock of magic-links.';
comment on column magic_links.used_at is 'When it was used.';
comment on column magic_links.created_at is 'When the row was written.';
comment on column magic_links.updated_at is 'When the row last changed.';

create table email_blacklist (
  id uuid primary key default gen_random_uuid(),
  email text not null unique,
  reason text not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create trigger touch before update on email_blacklist for each row execute function touch_updated_at();
comment on table email_blacklist is 'Addresses that must never be written to again. Permanent.';
comment on column email_blacklist.id is 'Identifies the row.';
comment on column email_blacklist.email is 'The address. Personal data, kept so that the objection is honored.';
comment on column email_blacklist.reason is 'Why: complaint, bounce, objection.';
comment on column email_blacklist.created_at is 'When the row was written.';
comment on column email_blacklist.updated_at is 'When the row last changed.';

create table webhook_events (
  id uuid primary key default gen_random_uuid(),
  provider text not null,
  kind text not null,
  status text not null default 'received' check (status in ('received', 'processed', 'failed')),
  payload jsonb not null default '{}',
  received_at timestamptz not null default now(),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index webhook_events_clock on webhook_events (status, received_at, id);
create trigger touch before update on webhook_events for each row execute function touch_updated_at();
comment on table webhook_events is 'Events received from other services.';
comment on column webhook_events.id is 'Identifies the row.';
comment on column webhook_events.provider is 'Who sent it.';
comment on column webhook_events.kind is 'What happened, in the sender''s words.';
comment on column webhook_events.status is 'Decides how long it is kept.';
comment on column webhook_events.payload is 'As received. May hold personal data.';
comment on column webhook_events.received_at is 'When it came. The clock of webhook-events.';
comment on column webhook_events.created_at is 'When the row was written.';
comment on column webhook_events.updated_at is 'When the row last changed.';

create table render_jobs (
  id uuid primary key default gen_random_uuid(),
  organization_id uuid references organizations (id) on delete cascade,
  user_id uuid references users (id) on delete set null,
  status text not null default 'queued' check (status in ('queued', 'running', 'done', 'failed')),
  tmp_file_url text check (tmp_file_url like 'tmp/%'),
  tmp_file_bytes bigint check (tmp_file_bytes >= 0),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index render_jobs_clock on render_jobs (created_at, id);
create index render_jobs_tmp_file_url on render_jobs (tmp_file_url);
create index render_jobs_organization_id on render_jobs (organization_id);
create index render_jobs_user_id on render_jobs (user_id);
create trigger touch before update on render_jobs for each row execute function touch_updated_at();
comment on table render_jobs is 'Video renderings.';
comment on column render_jobs.id is 'Identifies the row.';
comment on column render_jobs.organization_id is 'For whom.';
comment on column render_jobs.user_id is 'Who asked for it. Personal data.';
comment on column render_jobs.status is 'How far it is.';
comment on column render_jobs.tmp_file_url is 'Temporary file of the rendering, below tmp/.';
comment on column render_jobs.tmp_file_bytes is 'Its size.';
comment on column render_jobs.created_at is 'When the row was written.';
comment on column render_jobs.updated_at is 'When the row last changed.';

create table render_job_logs (
  id uuid primary key default gen_random_uuid(),
  render_job_id uuid not null references render_jobs (id) on delete cascade,
  line text not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index render_job_logs_render_job_id on render_job_logs (render_job_id);
create trigger touch before update on render_job_logs for each row execute function touch_updated_at();
comment on table render_job_logs is 'Lines a rendering wrote.';
comment on column render_job_logs.id is 'Identifies the row.';
comment on column render_job_logs.render_job_id is 'Of which job.';
comment on column render_job_logs.line is 'The line.';
comment on column render_job_logs.created_at is 'When the row was written.';
comment on column render_job_logs.updated_at is 'When the row last changed.';

create table render_outputs (
  id uuid primary key default gen_random_uuid(),
  render_job_id uuid references render_jobs (id) on delete set null,
  file_url text not null,
  file_bytes bigint check (file_bytes >= 0),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index render_outputs_render_job_id on render_outputs (render_job_id);
create index render_outputs_file_url on render_outputs (file_url);
create trigger touch before update on render_outputs for each row execute function touch_updated_at();
comment on table render_outputs is 'Finished videos. Never touched by the policy of their jobs.';
comment on column render_outputs.id is 'Identifies the row.';
comment on column render_outputs.render_job_id is 'Which job made it, while that exists.';
comment on column render_outputs.file_url is 'The blob.';
comment on column render_outputs.file_bytes is 'Its size.';
comment on column render_outputs.created_at is 'When the row was written.';
comment on column render_outputs.updated_at is 'When the row last changed.';

create table artifacts (
  id uuid primary key default gen_random_uuid(),
  organization_id uuid not null references organizations (id) on delete cascade,
  user_id uuid references users (id) on delete set null,
  kind text not null check (kind in ('blog_content', 'social_post', 'voiceover_audio', 'storyboard_image', 'video_clip', 'video_script')),
  storage_key text,
  size_bytes bigint check (size_bytes >= 0),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index artifacts_clock on artifacts (organization_id, created_at, id);
create index artifacts_storage_key on artifacts (storage_key);
create index artifacts_user_id on artifacts (user_id);
create trigger touch before update on artifacts for each row execute function touch_updated_at();
comment on table artifacts is 'What was generated for an organization.';
comment on column artifacts.id is 'Identifies the row.';
comment on column artifacts.organization_id is 'Whose it is; its plan decides how long it is kept.';
comment on column artifacts.user_id is 'Who made it. Personal data.';
comment on column artifacts.kind is 'What it is.';
comment on column artifacts.storage_key is 'Pathname of its blob; null when it has none.';
comment on column artifacts.size_bytes is 'Size of that blob.';
comment on column artifacts.created_at is 'When the row was written.';
comment on column artifacts.updated_at is 'When the row last changed.';

create table artifact_files (
  id uuid primary key default gen_random_uuid(),
  artifact_id uuid not null references artifacts (id) on delete cascade,
  storage_key text not null,
  size_bytes bigint check (size_bytes >= 0),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index artifact_files_artifact_id on artifact_files (artifact_id);
create index artifact_files_storage_key on artifact_files (storage_key);
create trigger touch before update on artifact_files for each row execute function touch_updated_at();
comment on table artifact_files is 'Further blobs of an artifact: thumbnails, captions.';
comment on column artifact_files.id is 'Identifies the row.';
comment on column artifact_files.artifact_id is 'Of which artifact.';
comment on column artifact_files.storage_key is 'Pathname of the blob.';
comment on column artifact_files.size_bytes is 'Its size.';
comment on column artifact_files.created_at is 'When the row was written.';
comment on column artifact_files.updated_at is 'When the row last changed.';

create table documents (
  id uuid primary key default gen_random_uuid(),
  organization_id uuid references organizations (id) on delete cascade,
  user_id uuid references users (id) on delete cascade,
  title text not null,
  body text not null default '',
  last_opened_at timestamptz,
  deleted_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index documents_clock on documents (last_opened_at, id) where deleted_at is null;
create index documents_purge on documents (deleted_at, id);
create index documents_organization_id on documents (organization_id);
create index documents_user_id on documents (user_id);
create trigger touch before update on documents for each row execute function touch_updated_at();
comment on table documents is 'Drafts of a person: marked as deleted first, purged after a grace period.';
comment on column documents.id is 'Identifies the row.';
comment on column documents.organization_id is 'Whose draft.';
comment on column documents.user_id is 'Who wrote it. Personal data.';
comment on column documents.title is 'Its title.';
comment on column documents.body is 'Its text. Personal data.';
comment on column documents.last_opened_at is 'When it was last opened. The clock of documents.';
comment on column documents.deleted_at is 'Since when it is marked as deleted. The clock of the purge.';
comment on column documents.created_at is 'When the row was written.';
comment on column documents.updated_at is 'When the row last changed.';

create table orders (
  id uuid primary key default gen_random_uuid(),
  user_id uuid references users (id) on delete set null,
  organization_id uuid references organizations (id) on delete set null,
  status text not null default 'paid' check (status in ('paid', 'in_review', 'approved', 'rejected', 'refunding', 'refunded', 'manual')),
  amount_cents int not null check (amount_cents > 0),
  currency text not null default 'eur' check (currency ~ '^[a-z]{3}$'),
  payment_intent_id text unique,
  review_started_at timestamptz,
  review_extended_until timestamptz,
  resolved_at timestamptz,
  refunded_at timestamptz,
  refund_id text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index orders_review on orders (review_started_at, id) where status = 'in_review';
create index orders_user_id on orders (user_id);
create index orders_organization_id on orders (organization_id);
create trigger touch before update on orders for each row execute function touch_updated_at();
comment on table orders is 'Orders; some wait for a person to look at them.';
comment on column orders.id is 'Identifies the row.';
comment on column orders.user_id is 'Who ordered. Personal data.';
comment on column orders.organization_id is 'For which customer.';
comment on column orders.status is 'Where it stands.';
comment on column orders.amount_cents is 'What was paid, in cents.';
comment on column orders.currency is 'ISO 4217, lower case.';
comment on column orders.payment_intent_id is 'The payment at the provider.';
comment on column orders.review_started_at is 'When the review began. The clock of order-review-sla.';
comment on column orders.review_extended_until is 'A later end of the review, when someone extended it.';
comment on column orders.resolved_at is 'When the review ended.';
comment on column orders.refunded_at is 'When the money went back.';
comment on column orders.refund_id is 'The refund at the provider.';
comment on column orders.created_at is 'When the row was written.';
comment on column orders.updated_at is 'When the row last changed.';

create table consents (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references users (id) on delete cascade,
  purpose text not null,
  granted_at timestamptz not null default now(),
  withdrawn_at timestamptz check (withdrawn_at >= granted_at),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index consents_user_id on consents (user_id);
create trigger touch before update on consents for each row execute function touch_updated_at();
comment on table consents is 'What a person agreed to.';
comment on column consents.id is 'Identifies the row.';
comment on column consents.user_id is 'Who agreed. Personal data.';
comment on column consents.purpose is 'To what.';
comment on column consents.granted_at is 'When.';
comment on column consents.withdrawn_at is 'When it was withdrawn.';
comment on column consents.created_at is 'When the row was written.';
comment on column consents.updated_at is 'When the row last changed.';

-- A plan decides what may go: a change of plan waits for the running batch, and the next one sees it.
create trigger lapse_gate before insert or update or delete on subscriptions
  for each statement execute function retention.gate();

-- Least privilege: the app reads all, deletes only from what a policy governs, and never writes the blacklist.
grant usage on schema public to lapse_app;
grant select on all tables in schema public to lapse_app;
grant update, delete on quiz_responses, generated_pdfs, magic_links, webhook_events, render_jobs, render_job_logs,
  artifacts, artifact_files, documents to lapse_app;
grant update on orders to lapse_app;

-- Down Migration

drop table consents, orders, documents, artifact_files, artifacts, render_outputs, render_job_logs, render_jobs, webhook_events, email_blacklist, magic_links, purchases, generated_pdfs, quiz_responses, subscriptions, organizations, users cascade;
drop function touch_updated_at();
