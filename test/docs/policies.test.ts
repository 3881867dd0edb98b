/** The handbook's examples: each is declared, gets the tables it shows, fits them, and deletes what has expired and nothing else. */
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import * as byRule from '@/docs/examples/by-rule';
import * as byTier from '@/docs/examples/by-tier';
import * as consent from '@/docs/examples/consent';
import * as contents from '@/docs/examples/contents';
import * as dependants from '@/docs/examples/dependants';
import * as files from '@/docs/examples/files';
import * as mask from '@/docs/examples/mask';
import * as newest from '@/docs/examples/newest';
import * as notice from '@/docs/examples/notice';
import * as orderReview from '@/docs/examples/order-review';
import * as partitions from '@/docs/examples/partitions';
import * as permanent from '@/docs/examples/permanent';
import * as plainTable from '@/docs/examples/plain-table';
import * as softDelete from '@/docs/examples/soft-delete';
import * as thinned from '@/docs/examples/thinned';
import { watchOrders } from '@/lib/orders/watch';
import { registered, resolvePolicies } from '@/lib/policies';
import { consentOf } from '@/lib/policies/consent';
import { definePolicy, type Policy } from '@/lib/policies/contract';
import { purgeOf } from '@/lib/policies/purge';
import { ago, DAY, type Engine, engine, fitsDatabase, NOW } from '../support/engine';

const handbook = readFileSync('docs/POLICIES.md', 'utf8');
let e: Engine;
afterEach(() => e?.stop());

/** The statements shown under the example of that name. */
const shownSql = (example: string): string =>
  new RegExp(`\\(examples/${example}\\.ts\\):\\n[\\s\\S]*?\`\`\`sql\\n([\\s\\S]*?)\`\`\``).exec(
    handbook,
  )![1]!;

async function withTables(example: string): Promise<Engine> {
  e = await engine();
  await e.db.sql(shownSql(example));
  return e;
}
const keys = async (table: string): Promise<string[]> =>
  (await e.db.sql<{ note: string }>(`select note from ${table} order by note`)).map((r) => r.note);
const U = '00000000-0000-4000-8000-000000000001';
const old = (days: number): string => `'${ago(days * DAY)}'::timestamptz`;

it('shows every example as its file has it', () => {
  const shown = [...handbook.matchAll(/\]\((examples\/[a-z-]+\.ts)\):\n\n```ts\n([\s\S]*?)```/g)];
  expect(shown.length).toBe(15);
  for (const [, file, text] of shown) expect(text).toBe(readFileSync(`docs/${file}`, 'utf8'));
});

interface Shape {
  readonly example: string;
  readonly policy: Policy;
  readonly table: string;
  /** Rows, each with a note that says what becomes of it. */
  readonly rows: string;
}

const shapes: readonly Shape[] = [
  {
    example: 'plain-table',
    policy: plainTable.sessions,
    table: 'app_sessions',
    rows: `insert into app_sessions (user_id, last_used_at, note) values
      ('${U}', ${old(91)}, 'goes'), ('${U}', ${old(89)}, 'stays')`,
  },
  {
    example: 'by-rule',
    policy: byRule.notifications,
    table: 'notifications',
    rows: `insert into notifications (user_id, state, pinned, created_at, note) values
      ('${U}', 'read', false, ${old(31)}, 'goes'), ('${U}', 'read', false, ${old(29)}, 'stays'),
      ('${U}', 'unread', false, ${old(181)}, 'goes'), ('${U}', 'unread', false, ${old(179)}, 'stays'),
      ('${U}', 'read', true, ${old(400)}, 'stays'), ('${U}', 'other', false, ${old(400)}, 'stays')`,
  },
  {
    example: 'by-tier',
    policy: byTier.exports,
    table: 'data_exports',
    rows: `insert into accounts (plan) values ('free'), ('team'), ('enterprise'), ('unheard of');
      insert into data_exports (account_id, created_at, note)
        select id, at, case when (plan = 'free' and at < ${old(7)}) or (plan = 'team' and at < ${old(90)}) then 'goes' else 'stays' end
        from accounts, unnest(array[${old(6)}, ${old(8)}, ${old(89)}, ${old(91)}, ${old(4000)}]) at`,
  },
  {
    example: 'dependants',
    policy: dependants.conversations,
    table: 'conversations',
    rows: `insert into conversations (user_id, closed_at, note) values
      ('${U}', ${old(366)}, 'goes'), ('${U}', ${old(364)}, 'stays'), ('${U}', null, 'stays'), ('${U}', ${old(367)}, 'stays');
      insert into messages (conversation_id) select id from conversations;
      insert into ratings (conversation_id) select id from conversations;
      insert into complaints (conversation_id) select id from conversations where closed_at = ${old(367)}`,
  },
  {
    example: 'files',
    policy: files.uploads,
    table: 'uploads',
    rows: `insert into uploads (user_id, attached_to, file, uploaded_at, note) values
      ('${U}', null, 'uploads/a-${'x'.repeat(30)}.png', ${old(4)}, 'goes'), ('${U}', null, null, ${old(2)}, 'stays'),
      ('${U}', '${U}', 'uploads/b-${'x'.repeat(30)}.png', ${old(4)}, 'stays')`,
  },
  {
    example: 'contents',
    policy: contents.documents,
    table: 'closed_documents',
    rows: `insert into document_data select from generate_series(1, 3); insert into drafts values (1, 2);
      insert into closed_documents (data_id, preview_id, closed_at, note) values
        (1, 2, ${old(366)}, 'goes'), (3, 1, ${old(367)}, 'goes'), (null, 3, ${old(364)}, 'stays')`,
  },
  {
    example: 'newest',
    policy: newest.versions,
    table: 'document_versions',
    rows: `insert into document_versions (document_id, saved_at, note)
        select 1, ${old(200)} + n * interval '1 day', case when n < 3 then 'goes' else 'stays' end from generate_series(0, 7) n;
      insert into document_versions (document_id, saved_at, note) values (2, ${old(4000)}, 'stays')`,
  },
  {
    example: 'thinned',
    policy: thinned.snapshots,
    table: 'snapshots',
    rows: `insert into snapshots (server_id, taken_at, note) values
      (1, '2026-02-20 10:00Z', 'goes'), (1, '2026-02-20 22:59Z', 'stays'), (1, '2026-02-20 23:00Z', 'stays'), (2, '2026-02-20 10:00Z', 'stays'),
      (1, '2025-12-01 10:00Z', 'goes'), (1, '2025-12-07 10:00Z', 'stays'), (1, '2015-12-01 10:00Z', 'goes'), (1, '2020-12-30 10:00Z', 'stays'),
      (1, '2026-02-28 10:00Z', 'stays'), (1, '2026-02-28 11:00Z', 'stays')`,
  },
  {
    example: 'partitions',
    policy: partitions.pageViews,
    table: 'page_views',
    rows: `insert into page_views (seen_at, note) values ('2024-11-10', 'goes'), ('2024-11-20', 'goes'), ('2026-02-10', 'stays')`,
  },
];

it('mask: fits the tables it shows, and masks what has expired and nothing else', async () => {
  await withTables('mask');
  expect(await fitsDatabase(e, mask.customers)).toEqual([]);
  await e.db.sql(`insert into customers (email, full_name, city, closed_at) values
    ('a@example.com', 'goes', 'Bern', ${old(731)}), ('b@example.com', 'stays', 'Bern', ${old(729)}), ('c@example.com', 'open', 'Bern', null)`);
  const [policy] = resolvePolicies({ LAPSE_MASK_KEY: 'ab'.repeat(32) }, [mask.customers]);
  expect(await e.run(policy!)).toMatchObject({ outcome: 'succeeded', deleted: 1 });
  expect(
    await e.db.sql(
      'select full_name, city, length(email) as length from customers order by closed_at nulls last',
    ),
  ).toEqual([
    { full_name: null, city: 'unknown', length: 64 },
    { full_name: 'stays', city: 'Bern', length: 13 },
    { full_name: 'open', city: 'Bern', length: 13 },
  ]);
});

describe.each(shapes)('$example', ({ example, policy, table, rows }) => {
  it('fits the tables it shows, and deletes what has expired and nothing else', async () => {
    await withTables(example);
    expect(await fitsDatabase(e, policy)).toEqual([]);
    await e.db.sql(`alter table ${table} add column note text`);
    await e.db.sql(rows);
    const all = await keys(table);
    const result = await e.run(policy);
    expect({ outcome: result.outcome, message: result.message }).toMatchObject({ outcome: 'succeeded' });
    expect(await keys(table)).toEqual(all.filter((note) => note === 'stays'));
    expect(result.deleted).toBe(all.filter((note) => note === 'goes').length);
    expect(result.deleted).toBeGreaterThan(0);
  });
});

it('dependants: messages go along, ratings and follow-ups lose their reference, a complaint keeps its conversation', async () => {
  await withTables('dependants');
  await e.db.sql(
    `insert into conversations (user_id, closed_at) values ('${U}', ${old(366)}), ('${U}', ${old(367)})`,
  );
  await e.db.sql('insert into messages (conversation_id) select id from conversations');
  await e.db.sql('insert into ratings (conversation_id) select id from conversations');
  await e.db.sql('insert into follow_ups (conversation_id) select id from conversations');
  await e.db.sql(
    `insert into complaints (conversation_id) select id from conversations where closed_at = ${old(367)}`,
  );
  await e.run(dependants.conversations);
  const [left] = await e.db.sql(`select (select count(*)::int from conversations) as conversations,
    (select count(*)::int from messages) as messages, (select count(*)::int from ratings) as ratings,
    (select count(*)::int from ratings where conversation_id is null) as alone,
    (select count(*)::int from follow_ups where conversation_id is null) as detached`);
  expect(left).toEqual({ conversations: 1, messages: 1, ratings: 2, alone: 1, detached: 1 });
});

it('soft-delete: marks what has expired, and its purge deletes it after the grace period', async () => {
  await withTables('soft-delete');
  const purge = purgeOf(softDelete.projects)!;
  expect(await fitsDatabase(e, softDelete.projects)).toEqual([]);
  expect(await fitsDatabase(e, purge)).toEqual([]);
  await e.db.sql(`insert into projects (owner_id, last_opened_at, deleted_at) values
    ('${U}', ${old(731)}, null), ('${U}', ${old(729)}, null), ('${U}', ${old(900)}, ${old(61)}), ('${U}', ${old(900)}, ${old(59)})`);
  expect((await e.run(softDelete.projects)).deleted).toBe(1);
  expect((await e.run(purge)).deleted).toBe(1);
  const [left] = await e.db.sql(
    'select count(*)::int as rows, count(deleted_at)::int as marked from projects',
  );
  expect(left).toEqual({ rows: 3, marked: 2 });
});

it('notice: fits the tables it shows, and keeps what no workspace was told of', async () => {
  await withTables('notice');
  expect(await fitsDatabase(e, notice.recordings)).toEqual([]);
  await e.db.sql(`with w as (insert into workspaces (contact_email) values ('w@example.com') returning id)
    insert into recordings (workspace_id, made_at) select id, ${old(91)} from w`);
  expect(await e.run(notice.recordings)).toMatchObject({ deleted: 0, kept: { unnoticed: 1 } });
});

it('consent: what is kept on it goes when it is withdrawn, and stays when it was given again', async () => {
  await withTables('consent');
  const withdrawn = consentOf(consent.surveys)!;
  expect(await fitsDatabase(e, consent.surveys)).toEqual([]);
  expect(await fitsDatabase(e, withdrawn)).toEqual([]);
  await e.db.sql(
    `insert into survey_answers (user_id, answered_at) select gen_random_uuid(), ${old(10)} from generate_series(1, 3)`,
  );
  await e.db.sql(`insert into agreements (user_id, purpose, withdrawn_at)
    select user_id, 'research', case when n < 3 then now() end from (select user_id, row_number() over () as n from survey_answers) a`);
  await e.db.sql(
    `insert into agreements (user_id, purpose) select user_id, 'research' from agreements where withdrawn_at is not null limit 1`,
  );
  expect((await e.run(consent.surveys)).deleted).toBe(0);
  expect((await e.run(withdrawn)).deleted).toBe(1);
  expect(await e.db.sql('select count(*)::int as n from survey_answers')).toEqual([{ n: 2 }]);
});

it('permanent: a policy for the table does not start', async () => {
  await withTables('permanent');
  const { name, schema } = permanent.objections.table;
  const wrong = definePolicy({ ...plainTable.sessions, name: 'wrong', table: { schema, name } });
  expect(() => registered([wrong], [permanent.objections])).toThrow(/mail_objections is permanent/);
});

it('order-review: a booking that was in review for too long is claimed, one in time is not', async () => {
  await withTables('order-review');
  await e.db.sql(`insert into bookings (status, price_cents, currency, review_started_at) values
    ('review', 500, 'eur', ${old(1.1)}), ('review', 500, 'eur', ${old(0.5)})`);
  const services = { ...e.services, orderReview: orderReview.bookings };
  const order = {
    correlationId: 'c',
    deadline: new Date(NOW.getTime() + 300_000),
    dryRun: false,
    trigger: 'cron',
  } as const;
  const result = await watchOrders(services, order);
  expect(result.outcome).toBe('succeeded');
  // Without a key of the provider a person pays back.
  expect(await e.db.sql('select status from bookings order by id')).toEqual([
    { status: 'by_hand' },
    { status: 'review' },
  ]);
});
