/**
 * What happened in the business of the scene (scene.ts), as plain SQL over the example schema: the rows of the seed, bent
 * where the console has something to show. `$1` is the scene's instant.
 */

const uuid = (of: string): string => `md5('${of}')::uuid`;

/** Held since a dispute; its rows pass their date and stay. */
export const HELD_ORGANIZATION = uuid('organization7');
/** Pays for a longer period by contract. */
export const LARGE_ORGANIZATION = uuid('organization9');
/** Asked to be erased. */
export const ERASED_USER = uuid('user11');
/** Asked too, and has rows of the organization that is held. */
export const HELD_USER = `(select user_id from quiz_responses where organization_id = ${HELD_ORGANIZATION} and completed_at is not null order by completed_at desc limit 1)`;
/** Asked for a copy of what is kept. */
export const CURIOUS_USER = uuid('user21');
export const CLOSING_ORGANIZATION = uuid('organization13');

/** Before the first night: orders of which one is near its breach, and drafts of which one was signed. */
export const BEFORE: readonly string[] = [
  // One for each half an hour of a month.
  `update magic_links l set issued_at = $1::timestamptz - make_interval(mins => 30 * n) from (select id, row_number() over (order by id)::int as n from magic_links) o where o.id = l.id`,
  `update orders set status = 'approved', review_started_at = null, resolved_at = null where status = 'in_review'`,
  `update orders set status = 'in_review', review_started_at = $1::timestamptz - interval '22 hours 48 minutes', amount_cents = 4900 where id = ${uuid('order1')}`,
  `update orders set status = 'in_review', review_started_at = $1::timestamptz - interval '3 hours', amount_cents = 12900 where id = ${uuid('order2')}`,
  `update orders set status = 'in_review', review_started_at = $1::timestamptz - interval '26 hours', amount_cents = 61900 where id = ${uuid('order4')}`,
  // Nothing of who is to be erased is held.
  ...[
    'quiz_responses',
    'generated_pdfs',
    'render_jobs',
    'artifacts',
    'documents',
    'usage_events',
    'orders',
  ].map(
    (table) =>
      `update ${table} set organization_id = ${uuid('organization8')} where user_id = ${ERASED_USER} and organization_id = ${HELD_ORGANIZATION}`,
  ),
  // The application refuses to lose what somebody signed: the trigger is its own, and Lapse cannot know.
  `create function keep_signed() returns trigger language plpgsql as $$ begin
     if old.title like 'Signed %' then raise exception 'a signed document stays'; end if;
     return old;
   end $$`,
  'drop trigger touch on documents',
  'create trigger touch before delete on documents for each row execute function keep_signed()',
  `update documents set title = 'Signed contract', deleted_at = $1::timestamptz - interval '31 days' where id = ${uuid('document15')}`,
];

/** Before the last night: an import with an empty clock, and a migration that dropped an index. */
export const LAST_NIGHT: readonly string[] = [
  // Restoring fills tables, which the operators' login may only where it was let.
  'grant select, insert on generated_pdfs to lapse_operator',
  `insert into artifacts (id, organization_id, kind, storage_key, size_bytes, created_at)
     select md5('imported' || i)::uuid, md5('organization' || 1 + i % 30)::uuid, 'video_clip',
       'artifacts/imported/' || md5('imported' || i) || '.bin', 2100000, '1970-01-01 00:00:00Z'
     from generate_series(1, 1352) i`,
  'analyze artifacts',
  'drop index webhook_events_clock',
  'create table survey_answers (id bigint generated always as identity primary key, email text not null, answer text, answered_at timestamptz not null default now())',
  `insert into survey_answers (email, answer) select 'person-' || i || '@example.com', 'yes' from generate_series(1, 240) i`,
];

/** After the last night: what became due since, more than a run by hand takes. */
export const MORNING: readonly string[] = [
  `insert into quiz_responses (id, quiz, started_at, completed_at)
     select md5('morning' || i)::uuid, 'quiz-3', $1::timestamptz - interval '30 days 6 minutes', $1::timestamptz - interval '30 days 5 minutes'
     from generate_series(1, 400) i`,
];
