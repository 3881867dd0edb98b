/**
 * Realistic rows for the example schema, the same for the same `rows` and `asOf`: every value is derived from
 * its number by md5, none from a generator with a state. Made inside the database, in slices, so a million
 * rows neither travel nor are held in memory. Rows lie on both sides of every cutoff, none within two hours
 * before one, so that what has expired does not change while someone is watching.
 */
import { Client } from 'pg';

export interface SeedOptions {
  /** Quiz responses; the other tables are in proportion. */
  readonly rows: number;
  readonly asOf: Date;
  readonly log?: (line: string) => void;
}

/** Large enough that a statement's overhead is nothing, small enough to show progress. */
const SLICE = 200_000;
/** Nothing expires by itself within this many hours of `asOf`. */
const QUIET_HOURS = 2;

/** Usage goes back so far: five months more than it is kept. */
const USAGE_DAYS = 550;

/** A number from 0 to 1 that depends on `salt` (one letter) and the row's number only. */
const chance = (salt: string): string =>
  `((hashint8extended(i, ${salt.charCodeAt(0)}) & 2147483647) / 2147483648.0)`;
const id = (kind: string, i = 'i'): string => `md5('${kind}' || ${i})::uuid`;
/** The id of one of `n` rows of another kind. */
const oneOf = (kind: string, n: number, salt: string): string =>
  id(kind, `(1 + floor(${chance(salt)} * ${n}))::int`);
/**
 * An age that falls with the row's number over `spanDays`, with a little jitter, as rows are written in practice;
 * ages just short of `cutoffDays` are made younger.
 */
const age = (n: number, spanDays: number, cutoffDays: readonly number[], salt: string): string => {
  const raw = `(${spanDays} * (1 - i::float8 / ${n}) + ${chance(salt)} * ${spanDays / 100})`;
  const quiet = QUIET_HOURS / 24;
  return cutoffDays.reduce(
    (x, c) => `(case when ${x} between ${c - quiet} and ${c} then ${x} - ${quiet} else ${x} end)`,
    raw,
  );
};
const at = (days: string): string => `$1::timestamptz - make_interval(secs => ${days} * 86400)`;

interface Table {
  readonly name: string;
  readonly rows: number;
  /** `insert into … select … from generate_series($2, $3) i`, with $1 = asOf. */
  readonly insert: string;
}

export function tables(rows: number): Table[] {
  const part = (share: number, least: number) => Math.max(least, Math.round(rows * share));
  const users = part(1 / 200, 50);
  const organizations = part(1 / 2000, 40);
  const pdfs = part(1 / 10, 40);
  const jobs = part(1 / 20, 30);
  const artifacts = part(1 / 10, 80);
  const events = part(1 / 5, 100);
  const n = (name: string, count: number, columns: string, values: string, days = '0'): Table => ({
    name,
    rows: count,
    insert: `insert into ${name} (${columns}) select ${values} from generate_series($2::int, $3::int) i
      cross join lateral (select ${days} as days offset 0) x where $1::timestamptz is not null`,
  });
  const user = oneOf('user', users, 'u');
  const organization = oneOf('organization', organizations, 'o');
  return [
    n('users', users, 'id, email, name', `${id('user')}, 'person-' || i || '@example.com', 'Person ' || i`),
    n(
      'organizations',
      organizations,
      'id, name, owner_id',
      `${id('organization')}, 'Organization ' || i, ${user}`,
    ),
    // One in ten has no subscription at all, and so is free.
    n(
      'subscriptions',
      Math.floor(organizations * 0.9),
      'id, organization_id, plan, status, started_at',
      `${id('subscription')}, ${id('organization')}, (array['free', 'basic', 'pro', 'enterprise'])[1 + i % 4],
        case when i % 11 = 0 then 'canceled' else 'active' end, ${at('400')}`,
    ),
    n(
      'quiz_responses',
      rows,
      'id, user_id, organization_id, quiz, answers, started_at, completed_at, created_at',
      `${id('quiz')}, ${user}, ${organization}, 'quiz-' || i % 50,
        jsonb_build_object('a', i % 5, 'b', i % 7, 'text', repeat('x', 40 + i % 60)),
        ${at('(x.days + 0.01)')}, case when i % 50 = 0 then null else ${at('x.days')} end, ${at('(x.days + 0.01)')}`,
      age(rows, 75, [30], 'q'),
    ),
    n(
      'generated_pdfs',
      pdfs,
      'id, user_id, organization_id, purchase_status, file_url, file_bytes, created_at',
      `${id('pdf')}, ${user}, ${organization}, (array['unpurchased', 'unpurchased', 'purchased', 'refunded'])[1 + i % 4],
        case when i % 40 = 0 then null else 'pdfs/' || ${id('pdf')} || '.pdf' end, 2000 + i % 900,
        ${at(age(pdfs, 3000, [30, 180, 2555], 'p'))}`,
    ),
    n(
      'purchases',
      Math.floor(pdfs / 4),
      'id, user_id, generated_pdf_id, amount_cents, currency, paid_at',
      `${id('purchase')}, ${user}, ${id('pdf', '(i * 4 - 2)')}, 900 + i % 5000, 'eur', ${at('100')}`,
    ),
    n(
      'magic_links',
      part(1 / 10, 40),
      'id, user_id, token_hash, issued_at, used_at',
      `${id('link')}, ${user}, md5('token' || i), ${at(age(part(1 / 10, 40), 3, [1], 'm'))}, null`,
    ),
    n(
      'email_blacklist',
      part(1 / 100, 20),
      'id, email, reason, created_at',
      `${id('black')}, 'gone-' || i || '@example.com', 'complaint', ${at('900')}`,
    ),
    n(
      'webhook_events',
      part(1 / 5, 60),
      'id, provider, kind, status, payload, received_at',
      `${id('webhook')}, 'stripe', 'invoice.paid', (array['processed', 'processed', 'failed', 'received'])[1 + i % 4],
        jsonb_build_object('n', i), ${at(age(part(1 / 5, 60), 60, [7, 30], 'w'))}`,
    ),
    n(
      'render_jobs',
      jobs,
      'id, organization_id, user_id, status, tmp_file_url, tmp_file_bytes, created_at',
      `${id('job')}, ${organization}, ${user}, 'done', case when i % 10 = 0 then null else 'tmp/' || ${id('job')} || '/frames.bin' end,
        5000 + i % 3000, ${at(age(jobs, 14, [7], 'j'))}`,
    ),
    n(
      'render_job_logs',
      jobs * 3,
      'id, render_job_id, line',
      `${id('log')}, ${id('job', '(1 + (i - 1) / 3)')}, 'step ' || i % 3`,
    ),
    n(
      'render_outputs',
      jobs,
      'id, render_job_id, file_url, file_bytes',
      `${id('output')}, ${id('job')}, 'outputs/' || ${id('job')} || '.mp4', 90000 + i % 7000`,
    ),
    n(
      'artifacts',
      artifacts,
      'id, organization_id, user_id, kind, storage_key, size_bytes, created_at',
      `${id('artifact')}, ${organization}, ${user},
        (array['blog_content', 'social_post', 'voiceover_audio', 'storyboard_image', 'video_clip', 'video_script'])[1 + i % 6],
        case when i % 25 = 0 then null else 'artifacts/' || ${organization} || '/' || ${id('artifact')} || '.bin' end,
        1000 + i % 5000, ${at(age(artifacts, 500, [30, 90, 365], 'a'))}`,
    ),
    n(
      'artifact_files',
      Math.floor(artifacts / 10),
      'id, artifact_id, storage_key, size_bytes',
      `${id('file')}, ${id('artifact', '(i * 10)')}, 'artifacts/extra/' || ${id('file')} || '.png', 300 + i % 200`,
    ),
    n(
      'documents',
      part(1 / 50, 30),
      'id, organization_id, user_id, title, last_opened_at, deleted_at',
      `${id('document')}, ${organization}, ${user}, 'Draft ' || i, ${at(age(part(1 / 50, 30), 700, [365], 'd'))},
        case when i % 15 = 0 then ${at('(20 + i % 40)')} end`,
    ),
    n(
      'usage_events',
      events,
      'id, organization_id, user_id, kind, units, occurred_at',
      `${id('usage')}, ${organization}, ${user}, (array['call', 'render', 'export'])[1 + i % 3], 1 + i % 20,
        ${at(age(events, USAGE_DAYS, [395], 'e'))}`,
    ),
    n(
      'orders',
      part(1 / 100, 40),
      'id, user_id, organization_id, status, amount_cents, payment_intent_id, review_started_at, created_at',
      `${id('order')}, ${user}, ${organization}, case when i % 3 = 0 then 'in_review' else 'approved' end, 1000 + i % 9000, 'pi_' || md5('pi' || i),
        case when i % 3 = 0 then ${at(`(${chance('r')} * 1.5)`)} end, ${at('3')}`,
    ),
    n(
      'consents',
      users,
      'id, user_id, purpose, granted_at',
      `${id('consent')}, ${id('user')}, 'newsletter', ${at('200')}`,
    ),
    n(
      'support_tickets',
      part(1 / 400, 20),
      'id, user_id, topic, created_at',
      `${id('ticket')}, ${user}, 'Question ' || i, ${at('50')}`,
    ),
    n(
      'support_messages',
      part(1 / 400, 20) * 3,
      'id, ticket_id, answers_id, body, created_at',
      `${id('message')}, ${id('ticket', '(1 + (i - 1) / 3)')}, case when i % 3 <> 1 then ${id('message', '(i - 1)')} end, 'Message ' || i, ${at('50')}`,
    ),
  ];
}

/** Rows at the edges of the thirty days of quiz-responses, and such as no policy may ever match. */
const EDGES = `insert into quiz_responses (id, quiz, completed_at) values
  (md5('edge1')::uuid, 'edge', $1::timestamptz - interval '720 hours 1 microsecond'),
  (md5('edge2')::uuid, 'edge', $1::timestamptz - interval '720 hours 1 second'),
  (md5('edge3')::uuid, 'edge', $1::timestamptz - interval '720 hours 1 minute'),
  (md5('edge4')::uuid, 'edge', $1::timestamptz - interval '718 hours'),
  (md5('edge5')::uuid, 'edge', $1::timestamptz + interval '1 day'),
  (md5('edge6')::uuid, 'edge', 'infinity'), (md5('edge7')::uuid, 'edge', '-infinity'), (md5('edge8')::uuid, 'edge', null)`;

/** Returns the number of rows inserted into each table. The tables must be empty. */
export async function seed(ownerUrl: string, options: SeedOptions): Promise<Record<string, number>> {
  const client = new Client(ownerUrl);
  await client.connect();
  try {
    await client.query('set synchronous_commit = off');
    // References are right by construction; a superuser need not have each looked up. Others have.
    await client.query('set session_replication_role = replica').catch(() => undefined);
    const asOf = options.asOf.toISOString();
    const counts: Record<string, number> = {};
    // The jitter reaches a little further back, the application a month ahead.
    await client.query(
      `select add_usage_month(($1::timestamptz - make_interval(days => $2) + make_interval(months => m))::date)
       from generate_series(-1, 21) m`,
      [asOf, USAGE_DAYS],
    );
    for (const table of tables(options.rows)) {
      for (let from = 1; from <= table.rows; from += SLICE) {
        await client.query(table.insert, [asOf, from, Math.min(table.rows, from + SLICE - 1)]);
      }
      counts[table.name] = table.rows;
      options.log?.(`${table.name}: ${table.rows.toLocaleString('en')} rows`);
    }
    const edges = await client.query(EDGES, [asOf]);
    counts.quiz_responses = (counts.quiz_responses ?? 0) + (edges.rowCount ?? 0);
    // Plans are chosen from statistics, as in production.
    await client.query('vacuum analyze');
    return counts;
  } finally {
    await client.end();
  }
}
