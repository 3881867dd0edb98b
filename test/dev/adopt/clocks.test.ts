/**
 * Adoption proposes the clocks that a database has, and what it writes runs as it is. Three small schemas nobody here
 * wrote policies for: a help desk, a shop, and an application that came from SQLite with its dates as texts and numbers.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Answer, Answered } from '@/lib/dev/adopt/answers';
import { compose } from '@/lib/dev/adopt/compose';
import { draftOf } from '@/lib/dev/adopt/draft';
import { judge } from '@/lib/dev/adopt/judge';
import { type Reader, reading } from '@/lib/dev/adopt/read-only';
import { report } from '@/lib/dev/adopt/report';
import { type Survey, survey } from '@/lib/dev/adopt/survey';
import { verdicts } from '@/lib/dev/adopt/verdicts';
import { definePolicy, type Policy } from '@/lib/policies/contract';
import { ago, DAY, type Engine, engine } from '../../support/engine';

const SCHEMAS = `
  -- A help desk: a conversation is over when nobody has written for long; many are never closed.
  create table conversations (id bigint generated always as identity primary key, status text not null default 'open',
    created_at timestamptz not null, last_activity_at timestamptz, waiting_since timestamptz);
  create table messages (id bigint generated always as identity primary key, body text,
    conversation_id bigint not null references conversations on delete cascade, created_at timestamptz not null);
  create index on messages (conversation_id);
  -- A shop: what was ordered has no date of its own.
  create table sales (id uuid primary key default gen_random_uuid(), email text, placed_at timestamptz not null);
  create table sale_items (id bigint generated always as identity primary key, sale_id uuid not null references sales, title text);
  create index on sale_items (sale_id);
  create table carts (id uuid primary key default gen_random_uuid(), created_at timestamptz not null, updated_at timestamptz);
  create table coupons (code text, shop int, used_at timestamptz, unique (shop, code));
  create table import_lines (line text, created_at timestamptz);
  -- What came from SQLite.
  create table audit_logs (id text primary key, action text, created_at text not null);
  create table login_attempts (id integer primary key, attempted_at bigint not null);
  create table mixed_logs (id integer primary key, created_at text not null);
  create table invites (id integer primary key, expires_at text);`;

let e: Engine;
beforeAll(async () => {
  e = await engine();
  await e.db.sql(SCHEMAS);
  const [old, young] = [ago(40 * DAY), ago(5 * DAY)];
  await e.db.sql(
    `insert into conversations (created_at, last_activity_at) values ($1, $1), ($1, $2), ($1, null), ($2, null), ($1, null)`,
    [old, young],
  );
  await e.db.sql(
    `insert into messages (conversation_id, created_at) values (1, $1), (2, $2), (3, $1), (3, $2), (4, $2)`,
    [old, young],
  );
  await e.db.sql(
    `insert into sales select ('00000000-0000-4000-8000-00000000000' || i)::uuid, 'a@b.example', case when i < 3 then $1::timestamptz else $2::timestamptz end from generate_series(1, 4) i`,
    [old, young],
  );
  await e.db.sql(`insert into sale_items (sale_id) select id from sales, generate_series(1, 2)`);
  await e.db.sql(
    `insert into carts (created_at, updated_at) values ($1, $1), ($1, $2), ($1, null), ($2, null)`,
    [old, young],
  );
  await e.db.sql(
    `insert into audit_logs select 'c' || md5(i::text), 'seen', case when i < 4 then $1 else $2 end from generate_series(1, 6) i`,
    [old, young],
  );
  await e.db.sql(
    'insert into login_attempts select i, case when i < 3 then $1::bigint else $2::bigint end from generate_series(1, 5) i',
    [Date.parse(old), Date.parse(young)],
  );
  await e.db.sql(`insert into mixed_logs values (1, $1), (2, '2026-01-01 00:00')`, [old]);
  await e.db.sql(`insert into invites values (1, $1), (2, $2), (3, null)`, [
    old.replace('.000', ''),
    young.replace('.000', ''),
  ]);
  await e.db.sql('analyze');
});
afterAll(() => e?.stop());

const seeing = <T>(work: (reader: Reader, seen: Survey) => Promise<T>): Promise<T> =>
  reading(e.db.ownerUrl, async (reader) => work(reader, await survey(reader, { schemas: ['public'] })));
const tableOf = (seen: Survey, name: string) => seen.tables.find((t) => t.facts.name === name)!;
const drafted = (name: string, said: Partial<Answer> = {}) =>
  seeing(async (_, seen) => draftOf(seen, tableOf(seen, name), { ...said }));

/** As adopt writes it, with the statements it prints run by the owner. */
async function adopted(name: string, said: Partial<Answer> = {}): Promise<Policy> {
  const answer: Answered = {
    table: name,
    keep: '30d',
    reason: 'nobody asks for older',
    ground: 'GDPR',
    ...said,
  };
  return seeing(async (reader, seen) => {
    const draft = draftOf(seen, tableOf(seen, name), answer);
    if ('problem' in draft) throw new Error(`${draft.problem}: ${draft.remedy}`);
    const { input } = compose(tableOf(seen, name), draft, answer, []);
    const { steps, refused } = await judge(reader, seen.catalog, input, []);
    expect(refused).toEqual([]);
    for (const { statement } of steps) await e.db.sql(statement);
    expect((await judge(reader, seen.catalog, input, [])).steps).toEqual([]);
    return definePolicy(input);
  });
}
const left = async (name: string, column = 'id') =>
  (await e.db.sql(`select ${column}::text as id from ${name} order by 1`)).map((r) => String(r.id));

it('says of a table without a date whose date its rows could go by', async () => {
  const words = await seeing(async (reader, seen) => {
    const found = await verdicts(reader, seen, { policies: [], permanent: [] });
    return report(seen, found);
  });
  expect(words).toContain('sale_items (--clock sales.placed_at)');
  expect(words).toContain(
    'rows that go along may be younger: --later messages.created_at counts from the last of them: conversations',
  );
});

it('takes the date of the row referred to, and the draft runs as it is', async () => {
  const policy = await adopted('sale_items', { clock: 'sales.placed_at' });
  expect(policy.clock).toMatchObject({
    column: 'placed_at',
    in: { table: { name: 'sales' }, references: ['sale_id'], key: ['id'] },
  });
  expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 4 });
});

it('counts a conversation from its last message where that is asked for, and from its own date where one is empty', async () => {
  const policy = await adopted('conversations', { clock: 'last_activity_at', later: 'messages.created_at' });
  expect(policy.clock).toMatchObject({
    column: 'last_activity_at',
    otherwise: ['created_at'],
    orLaterIn: [
      {
        table: { name: 'messages' },
        references: ['conversation_id'],
        column: 'created_at',
        type: 'timestamptz',
      },
    ],
  });
  expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 2 });
  expect(await left('conversations')).toEqual(['2', '3', '4']);
});

it('takes what counts otherwise only where an empty date does not mean that the row is not over', async () => {
  const policy = await adopted('carts', { clock: 'updated_at' });
  expect(policy.clock).toEqual({ column: 'updated_at', type: 'timestamptz', otherwise: ['created_at'] });
  expect(await drafted('carts', { clock: 'updated_at' })).toMatchObject({
    notes: ['where updated_at is empty, created_at counts'],
  });
  expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 2 });
  // What was never used is not over.
  await e.db.sql(
    `alter table coupons add id int generated always as identity primary key, add created_at timestamptz not null default now(); insert into coupons (code) values ('unused')`,
  );
  const unused = await drafted('coupons', { clock: 'used_at' });
  expect('input' in unused && unused.input.clock).toEqual({ column: 'used_at', type: 'timestamptz' });
});

it('takes texts and numbers for dates where all rows show them to be some', async () => {
  const logs = await adopted('audit_logs');
  expect(logs.clock).toMatchObject({ column: 'created_at', type: 'iso', digits: 3 });
  expect(await e.run(logs)).toMatchObject({ outcome: 'succeeded', deleted: 3 });
  const attempts = await adopted('login_attempts');
  expect(attempts.clock).toMatchObject({ column: 'attempted_at', type: 'epoch', unit: 'milliseconds' });
  expect(await e.run(attempts)).toMatchObject({ outcome: 'succeeded', deleted: 2 });
  const invites = await adopted('invites');
  expect(invites.clock).toMatchObject({ column: 'expires_at', type: 'iso', digits: 0, ahead: true });
  expect(await e.run(invites)).toMatchObject({ outcome: 'succeeded', deleted: 1 });
  // Not two forms in one column: none sorts as it counts.
  expect(await drafted('mixed_logs')).toMatchObject({ timeless: true });
});

it('says what works where no unique key is there, or one that may be NULL', async () => {
  await e.db.sql('create table vouchers (code text, shop int, used_at timestamptz, unique (shop, code))');
  const nullable = await drafted('vouchers');
  expect(nullable).toMatchObject({
    problem: expect.stringContaining('its only unique key (shop, code) may be NULL'),
  });
  const none = await drafted('import_lines');
  expect(none).toMatchObject({
    remedy: expect.stringContaining('GENERATED ALWAYS AS IDENTITY PRIMARY KEY;'),
  });
  await e.db.sql(`insert into import_lines values ('a', $1)`, [ago(40 * DAY)]);
  await e.db.sql('remedy' in none ? none.remedy : '');
  expect(await e.run(await adopted('import_lines'))).toMatchObject({ outcome: 'succeeded', deleted: 1 });
});

it('refuses a date that leads nowhere, with those that do', async () => {
  expect(await drafted('sale_items', { clock: 'sales.paid_at' })).toMatchObject({
    problem: 'sales.paid_at is no date of a table that a foreign key joins to it',
    remedy: '--clock takes one of sales.placed_at',
  });
  expect(await drafted('sale_items', { clock: 'nothing' })).toMatchObject({
    remedy: 'name one of sales.placed_at',
  });
  expect(await drafted('sales', { later: 'sale_items.sent_at' })).toMatchObject({
    remedy: 'no foreign key leads to a table that has one',
  });
  await e.db.sql(
    'create table gifts (id int primary key, sale_id uuid references sales, paid_for uuid references sales)',
  );
  expect(await drafted('gifts', { clock: 'sales.placed_at' })).toMatchObject({
    problem: 'sales.placed_at is reached by several foreign keys',
  });
});
