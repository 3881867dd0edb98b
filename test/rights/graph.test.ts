/** The graph of one subject over schemas of the tests' own: what it reaches, in which order, and what it refuses. */
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sql } from '@/lib/platform/sql';
import { type DataMapInput, defineDataMap } from '@/lib/policies/data-map-contract';
import { carryOut } from '@/lib/rights/carry-out';
import { confirmRequest, eraseSubject, resumeErasures } from '@/lib/rights/erase';
import type { ErasureResult } from '@/lib/rights/result';
import type { Services } from '@/lib/services';
import { type Engine, engine, left, NOW, thingsPolicy } from '../support/engine';

const KEY = 'ab'.repeat(32);
let e: Engine;
let me: string;
let other: string;

beforeEach(async () => {
  e = await engine({ env: { LAPSE_RIGHTS_KEY: KEY, LAPSE_MASK_KEY: KEY } });
  [me, other] = [randomUUID(), randomUUID()];
  await table('people', 'email text', 'name text');
  await e.db.sql(`insert into people (id, email) values ($1, 'me@example.com'), ($2, 'other@example.com')`, [
    me,
    other,
  ]);
});
afterEach(() => e.stop());

/** A table with a key, rights and the guard; each reference gets its index. */
async function table(name: string, ...columns: string[]): Promise<void> {
  await e.db.sql(
    `create table ${name} (${['id uuid primary key default gen_random_uuid()', ...columns].join(', ')})`,
  );
  for (const c of columns)
    if (c.includes('references')) await e.db.sql(`create index on ${name} (${c.split(' ')[0]})`);
  await e.db.sql(`grant select, update, delete on ${name} to lapse_app`);
  await e.db.sql(`select retention.protect('public.${name}')`);
}
const add = async (name: string, values: Record<string, unknown>): Promise<string> => {
  const names = Object.keys(values);
  const rows = await e.db.sql<{ id: string }>(
    `insert into ${name} (${names.join(', ')}) values (${names.map((_, i) => `$${i + 1}`).join(', ')}) returning id`,
    Object.values(values),
  );
  return rows[0]!.id;
};

const PEOPLE: DataMapInput = {
  'public.people': {
    kept: 'while it lasts',
    subject: 'user',
    identifiers: ['email'],
    confidential: { delete: ['email', 'name'] },
  },
};
const mapped = (map: DataMapInput): Services => ({
  ...e.services,
  policies: [],
  dataMap: defineDataMap({ ...PEOPLE, ...map }),
});
const order = (id = me, scope: 'user' | 'organization' = 'user') => ({
  subject: { scope, id },
  reason: 'request 12',
  actor: 'ann',
  correlationId: 'test',
  deadline: new Date(NOW.getTime() + 240_000),
  dryRun: false,
});

/** Erases after a dry run, which has to say exactly what goes. */
async function erase(services: Services, id = me): Promise<ErasureResult> {
  const dry = await eraseSubject(services, { ...order(id), dryRun: true });
  const done = await attempt(services, id);
  expect({ deleted: dry.deleted, masked: dry.masked, kept: dry.kept }).toEqual({
    deleted: done.deleted,
    masked: done.masked,
    kept: done.kept,
  });
  return done;
}
/** As ann asks and, where it is needed, ben confirms. */
async function attempt(services: Services, id = me): Promise<ErasureResult> {
  const asked = await eraseSubject(services, order(id));
  if (asked.outcome !== 'waiting') return asked;
  return confirmRequest(services, { ...order(id), actor: 'ben', id: asked.id!, reason: 'checked' });
}
const again = (services: Services) => resumeErasures(services, { ...order(), dryRun: false });
const stepsOf = (r: ErasureResult) => Object.fromEntries(r.policies.map((s) => [s.policy, s.deleted]));

describe('an erasure by the data map', () => {
  it('takes the row of the subject itself from a table without a policy, with a receipt and a sealed run', async () => {
    expect(await erase(mapped({}))).toMatchObject({ outcome: 'succeeded', deleted: 1 });
    expect(await e.db.sql('select id from people')).toEqual([{ id: other }]);
    expect(
      await e.db.sql(
        'select policy, action, reason, deleted::int, retention.keys_of(r) as keys from retention.receipt r',
      ),
    ).toEqual([
      { policy: 'erasure:public.people', action: 'delete', reason: 'erasure', deleted: 1, keys: [me] },
    ]);
    expect(
      await e.db.sql("select count(*)::int as n from retention.audit_entry where action = 'run.sealed'"),
    ).toEqual([{ n: 1 }]);
  });

  it('follows foreign keys to any depth, what refers to a row before the row', async () => {
    await table('a', 'person uuid references people on delete cascade');
    await table('b', 'a uuid references a');
    await table('c', 'b uuid references b on delete set null', 'words text');
    const services = mapped({
      'public.a': { kept: 'while it lasts', confidential: { delete: ['person'] } },
      'public.b': { kept: 'with its a row', confidential: { delete: ['a'] } },
      'public.c': { kept: 'with its b row', confidential: { delete: ['b', 'words'] } },
    });
    for (const person of [me, me, other])
      await add('c', { b: await add('b', { a: await add('a', { person }) }) });
    const done = await erase(services);
    expect(stepsOf(done)).toEqual({
      'erasure:public.a': 2,
      'erasure:public.b': 2,
      'erasure:public.c': 2,
      'erasure:public.people': 1,
    });
    for (const name of ['a', 'b', 'c', 'people']) expect(await left(e.db, name)).toBe(1);
  });

  it('takes a tree of rows from its leaves, also where the reference would cascade', async () => {
    await table('posts', 'person uuid references people', 'answers uuid references posts on delete cascade');
    const services = mapped({
      'public.posts': { kept: 'while it lasts', confidential: { delete: ['person', 'answers'] } },
    });
    let answers: string | null = null;
    for (let i = 0; i < 5; i += 1) answers = await add('posts', { person: i === 0 ? me : null, answers });
    await add('posts', { person: other });
    expect(await erase(services)).toMatchObject({ outcome: 'succeeded', deleted: 6 });
    expect(await left(e.db, 'posts')).toBe(1);
    const receipts = await e.db.sql(
      "select sum(deleted)::int as n from retention.receipt where policy = 'erasure:public.posts'",
    );
    expect(receipts).toEqual([{ n: 5 }]);
  });

  it('ends where rows refer to each other in a circle, and says what keeps them', async () => {
    await table('posts', 'person uuid references people', 'answers uuid references posts');
    const services = mapped({
      'public.posts': { kept: 'while it lasts', confidential: { delete: ['person', 'answers'] } },
    });
    const one = await add('posts', { person: me });
    const two = await add('posts', { answers: one });
    await e.db.sql('update posts set answers = $1 where id = $2', [two, one]);
    const asked = await eraseSubject(services, order());
    expect(asked).toMatchObject({ outcome: 'interrupted', reason: 'kept', deleted: 0 });
    expect(asked.policies.find((s) => s.table === 'public.posts')?.kept).toMatchObject({ referenced: 2 });
    // Whose reference it is decides: without it the circle is open.
    await e.db.sql('update posts set answers = null where id = $1', [one]);
    expect(await again(services)).toMatchObject({ outcome: 'succeeded' });
    expect(await left(e.db, 'posts')).toBe(0);
  });

  it('goes through tables that refer to each other as often as that takes rows away', async () => {
    await table('a', 'person uuid references people');
    await table('b', 'a uuid references a');
    await e.db.sql('alter table a add column b uuid references b; create index on a (b)');
    const services = mapped({
      'public.a': { kept: 'while it lasts', confidential: { delete: ['person', 'b'] } },
      'public.b': { kept: 'while it lasts', confidential: { delete: ['a'] } },
    });
    let b: string | null = null;
    for (let i = 0; i < 3; i += 1)
      b = await add('b', { a: await add('a', { person: i === 0 ? me : null, b }) });
    expect(await erase(services)).toMatchObject({ outcome: 'succeeded', deleted: 7 });
  });

  it('leaves rows of others that only refer to theirs, without the reference', async () => {
    await table('posts', 'person uuid references people', 'answers uuid references posts on delete cascade');
    const services = mapped({
      'public.posts': { kept: 'while it lasts', detach: ['answers'], confidential: { delete: ['person'] } },
    });
    const first = await add('posts', { person: me });
    const own = await add('posts', { person: me, answers: first });
    const theirs = await add('posts', { person: other, answers: own });
    expect(await erase(services)).toMatchObject({ outcome: 'succeeded', deleted: 3, masked: 1 });
    expect(await e.db.sql('select id, answers from posts')).toEqual([{ id: theirs, answers: null }]);
  });

  it('takes of a reference of several columns only what the map says, not whose the row is', async () => {
    await table(
      'posts',
      'team integer not null default 1',
      'person uuid references people',
      'unique (team, id)',
    );
    await table('replies', 'team integer not null default 1', 'post uuid', 'words text');
    await e.db.sql('alter table replies add foreign key (team, post) references posts (team, id)');
    await e.db.sql('create index on replies (team, post)');
    const services = mapped({
      'public.posts': { kept: 'while it lasts', confidential: { delete: ['person'] } },
      'public.replies': { kept: 'while it lasts', detach: ['post'] },
    });
    // Referred to by its key: team and id.
    await e.db.sql('alter table posts drop constraint posts_pkey, add primary key (team, id)');
    await add('replies', { post: await add('posts', { person: me }) });
    expect(await erase(services)).toMatchObject({ outcome: 'succeeded', deleted: 2, masked: 1 });
    expect(await e.db.sql('select team, post from replies')).toEqual([{ team: 1, post: null }]);
  });

  it('takes away the reference of a row of theirs that stays, and of none that goes', async () => {
    await table('posts', 'person uuid references people', 'editor uuid references people');
    await table('votes', 'person uuid references people', 'post uuid references posts');
    const services = mapped({
      'public.posts': { kept: 'while it lasts', detach: ['editor'], confidential: { delete: ['person'] } },
      'public.votes': { kept: 'while it lasts', detach: ['post'], confidential: { mask: { person: null } } },
    });
    const post = await add('posts', { person: me, editor: me });
    await add('votes', { person: me, post });
    const done = await erase(services);
    expect(done).toMatchObject({ outcome: 'succeeded', deleted: 2, masked: 2 });
    expect(await e.db.sql('select person, post from votes')).toEqual([{ person: null, post: null }]);
    expect(stepsOf(done)).toMatchObject({ 'erasure-detach:public.posts.editor': 0 });
  });

  it('takes a row that only refers to itself', async () => {
    await table('posts', 'person uuid references people', 'top uuid references posts on delete restrict');
    const services = mapped({
      'public.posts': { kept: 'while it lasts', confidential: { delete: ['person', 'top'] } },
    });
    const post = await add('posts', { person: me });
    await e.db.sql('update posts set top = id');
    expect(await erase(services)).toMatchObject({ outcome: 'succeeded', deleted: 2 });
    expect(await e.db.sql('select id from posts where id = $1', [post])).toEqual([]);
  });

  it('never takes another subject, whatever refers to whom', async () => {
    await e.db.sql(
      'alter table people add column invited_by uuid references people; create index on people (invited_by)',
    );
    await e.db.sql('update people set invited_by = $1 where id = $2', [me, other]);
    const refused = await eraseSubject(mapped({}), { ...order(), dryRun: true });
    expect(refused).toMatchObject({ outcome: 'errored', reason: 'undecided', deleted: 0 });
    expect(refused.problems[0]?.remedy).toContain("detach: ['invited_by']");
    const services = {
      ...mapped({}),
      dataMap: defineDataMap({ 'public.people': { ...PEOPLE['public.people'], detach: ['invited_by'] } }),
    };
    expect(await erase(services)).toMatchObject({ outcome: 'succeeded', deleted: 1, masked: 1 });
    expect(await e.db.sql('select id, invited_by from people')).toEqual([{ id: other, invited_by: null }]);
  });

  it('masks by null, by a constant and by a keyed hash, each row once, and keeps what is retained', async () => {
    await table(
      'invoices',
      'person uuid references people',
      'phone text',
      'label text',
      'address text',
      'vat text',
      'paid_at timestamptz default now()',
    );
    await table('lines', 'invoice uuid references invoices', 'words text');
    const services = mapped({
      'public.invoices': {
        kept: 'tax law, ten years',
        confidential: {
          mask: { phone: null, label: { constant: 'a customer' }, address: 'hash' },
          retain: {
            columns: ['vat', 'person'],
            ground: 'tax law, AO 147',
            until: { years: 10, after: 'paid_at' },
          },
        },
      },
      'public.lines': {
        kept: 'with its invoice',
        confidential: {
          mask: { words: null },
          retain: { columns: ['invoice'], ground: 'tax law, AO 147', until: 'removal' },
        },
      },
      'public.people': {
        kept: 'tax law, ten years',
        subject: 'user',
        identifiers: ['email'],
        confidential: { mask: { email: null, name: null } },
      },
    });
    const invoice = await add('invoices', {
      person: me,
      phone: '1',
      label: 'x',
      address: 'Here 1',
      vat: 'V',
    });
    await add('lines', { invoice, words: 'for me' });
    const done = await erase(services);
    expect(done).toMatchObject({ outcome: 'succeeded', deleted: 0, masked: 3 });
    expect(done.retained).toEqual(
      expect.arrayContaining([
        {
          table: 'public.invoices',
          columns: ['vat', 'person'],
          ground: 'tax law, AO 147',
          until: '10 years after paid_at',
        },
      ]),
    );
    const [row] = await e.db.sql('select phone, label, address, vat, person from invoices');
    expect(row).toMatchObject({ phone: null, label: 'a customer', vat: 'V', person: me });
    expect(row?.address).toMatch(/^[0-9a-f]{64}$/);
    expect(await e.db.sql('select words from lines')).toEqual([{ words: null }]);
    // Asked again, it masks no hash a second time.
    expect(await eraseSubject(services, order())).toMatchObject({ outcome: 'succeeded', masked: 0 });
    expect(await e.db.sql('select address from invoices')).toEqual([{ address: row?.address }]);
  });

  it('refuses to hash without a key, and says so', async () => {
    await table('invoices', 'person uuid references people', 'address text');
    const services = mapped({
      'public.invoices': {
        kept: 'tax law, ten years',
        confidential: { mask: { person: null, address: 'hash' } },
      },
    });
    const keyless = { ...services, settings: { ...services.settings, maskKey: undefined } };
    await expect(eraseSubject(keyless, order())).rejects.toThrow('LAPSE_MASK_KEY');
    expect(await left(e.db, 'retention.erasure')).toBe(0);
  });
});

it('a row written while the one it refers to is about to go is not left behind without its reference', async () => {
  await table('a', 'person uuid references people on delete set null');
  await table('b', 'a uuid references a on delete set null');
  await e.db.sql('grant insert on b to lapse_app');
  const services = mapped({
    'public.a': { kept: 'while it lasts', confidential: { delete: ['person'] } },
    'public.b': { kept: 'with its a row', confidential: { delete: ['a'] } },
  });
  const a = await add('a', { person: me });
  const { database } = services;
  let written = 0;
  // Between the statement that locks the row and the one that deletes it.
  const late = {
    transaction: async (
      statements: Parameters<typeof database.transaction>[0],
      limits: Parameters<typeof database.transaction>[1],
    ) => {
      const at = statements.findIndex(
        (s) => s.text.includes(`set_config('lapse.rows'`) && s.text.includes('"a"'),
      );
      if (at < 0 || written > 0) return database.transaction(statements, limits);
      written += 1;
      const insert = { text: 'insert into b (a) values ($1)', params: [a] };
      const answers = await database.transaction(
        [...statements.slice(0, at + 1), insert, ...statements.slice(at + 1)],
        limits,
      );
      return [...answers.slice(0, at + 1), ...answers.slice(at + 2)];
    },
  };
  const first = await eraseSubject({ ...services, database: late }, order());
  expect(first).toMatchObject({ outcome: 'interrupted', deleted: 0 });
  expect([written, await e.db.sql('select a from b')]).toEqual([1, [{ a }]]);
  expect(await again(services)).toMatchObject({ outcome: 'succeeded', erasures: [{ deleted: 3 }] });
  expect([await left(e.db, 'b'), await left(e.db, 'a')]).toEqual([0, 0]);
});

describe('what is retained until an instant', () => {
  const until = { years: 10, after: 'paid_at' };
  const retain = (columns: string[]) => ({ columns, ground: 'tax law, AO 147', until });
  const line = (columns: string[], more: object = {}) => ({
    kept: 'tax law, ten years',
    mentions: [{ column: 'person', is: 'user' }],
    confidential: { retain: retain(columns), ...more },
  });
  const paid = (name: string, years: number | null, more: object = {}) => {
    const paid_at = years === null ? null : new Date(NOW.getTime() - years * 366 * 86_400_000);
    return add(name, { person: me, paid_at, ...more });
  };
  const checked = async () =>
    (await e.db.sql<{ checked: object }>('select checked from retention.erasure'))[0]?.checked;

  it('is emptied when that is over, and stays where it is not, or where nobody can say', async () => {
    await table('invoices', 'person uuid', 'vat text', 'paid_at timestamptz');
    for (const years of [11, 1, null]) await paid('invoices', years, { vat: 'x' });
    await add('invoices', { person: other, vat: 'theirs', paid_at: '2001-01-01' });
    const services = mapped({ 'public.invoices': line(['person', 'vat']) });
    const done = await erase(services);
    expect(done).toMatchObject({ outcome: 'succeeded', deleted: 1, masked: 1 });
    expect(stepsOf(done)).toMatchObject({ 'erasure-ended:public.invoices.person.vat': 1 });
    expect(
      await e.db.sql(
        'select person, vat, paid_at is null as unpaid from invoices order by paid_at nulls last',
      ),
    ).toEqual([
      { person: other, vat: 'theirs', unpaid: false },
      { person: null, vat: null, unpaid: false },
      { person: me, vat: 'x', unpaid: false },
      { person: me, vat: 'x', unpaid: true },
    ]);
    expect(await checked()).toMatchObject({ found: {}, retained: { 'public.invoices': { person: 2 } } });
    expect(done.message).toContain('nothing of the subject is left but what 1 tables retain');
    // The next one comes to its end with the row that was paid a year ago.
    expect(
      await e.db.sql(
        `select retained_until = date_trunc('milliseconds', paid_at) + interval '10 years' as same
        from retention.erasure, invoices where person = $1 and paid_at is not null`,
        [me],
      ),
    ).toEqual([{ same: true }]);
  });

  it('goes with its row where it cannot be empty, and beside a mask where it can', async () => {
    await table('bills', 'person uuid not null', 'paid_at date');
    await table('sales', 'person uuid', 'phone text', 'vat text', 'paid_at timestamp');
    for (const years of [11, 5, 1]) {
      await paid('bills', years);
      await paid('sales', years, { phone: '1', vat: 'x' });
    }
    const services = mapped({
      'public.bills': line(['person']),
      'public.sales': {
        ...line([]),
        confidential: {
          mask: { phone: null },
          retain: [retain(['person']), { ...retain(['vat']), until: { days: 1000, after: 'paid_at' } }],
        },
      },
    });
    expect(await erase(services)).toMatchObject({ outcome: 'succeeded', deleted: 2, masked: 3 });
    expect(await left(e.db, 'bills')).toBe(2);
    expect(await e.db.sql('select person, phone, vat from sales order by paid_at')).toEqual([
      { person: null, phone: null, vat: null },
      { person: me, phone: null, vat: null },
      { person: me, phone: null, vat: 'x' },
    ]);
  });

  it('goes with its row, which then loses no reference before, and is in one receipt', async () => {
    await table('bills', 'person uuid not null', 'editor uuid references people', 'paid_at date');
    for (const years of [11, 1]) await paid('bills', years, { editor: me });
    const done = await erase(mapped({ 'public.bills': { ...line(['person']), detach: ['editor'] } }));
    expect(done).toMatchObject({ outcome: 'succeeded', masked: 1 });
    expect(stepsOf(done)).toMatchObject({
      'erasure-detach:public.bills.editor': 1,
      'erasure:public.bills': 1,
    });
    expect(await e.db.sql('select person, editor from bills')).toEqual([{ person: me, editor: null }]);
  });

  it('and is neither, is not called done', async () => {
    await table('bills', 'person uuid not null', 'vat text not null', 'paid_at date', 'sent text');
    await paid('bills', 11, { vat: 'x', sent: '2001' });
    const retained = [retain(['person']), { ...retain(['vat']), until: { days: 1, after: 'sent' } }];
    const services = mapped({
      'public.bills': { ...line([]), confidential: { retain: retained } },
    });
    const done = await attempt(services);
    expect(done).toMatchObject({ outcome: 'errored', reason: 'left_behind' });
    expect(done.message).toContain('1 rows with the subject in public.bills.person');
    await e.db.sql('delete from bills');
    expect(await again(services)).toMatchObject({ outcome: 'succeeded' });
  });
});

describe('rows that know the subject by an identifier', () => {
  beforeEach(() => table('events', 'payload jsonb', 'sender text'));
  const EVENTS: DataMapInput = {
    'public.events': {
      kept: 'for a while',
      mentions: [
        { column: 'payload', path: '$.to[*].email', is: 'email' },
        { column: 'sender', is: 'email' },
      ],
      confidential: { delete: ['payload', 'sender'] },
    },
  };

  it('are found however the address is written, and no address is kept', async () => {
    await add('events', {
      payload: JSON.stringify({ to: [{ email: 'x@y.z' }, { email: ' ME@example.com ' }] }),
    });
    await add('events', { sender: 'Me@Example.com' });
    await add('events', { sender: 'other@example.com', payload: JSON.stringify({ to: 'me' }) });
    expect(await erase(mapped(EVENTS))).toMatchObject({ outcome: 'succeeded', deleted: 3 });
    expect(await left(e.db, 'events')).toBe(1);
    const [kept] = await e.db.sql<{ identifiers: { email: string[] } }>(
      'select identifiers from retention.erasure',
    );
    expect(kept?.identifiers.email).toEqual([expect.stringMatching(/^[0-9a-f]{64}$/)]);
  });

  it('are found in letters of any script, in either form of an accent', async () => {
    const own = 'Jürgen@Bücher.example';
    await e.db.sql('update people set email = $1 where id = $2', [own, me]);
    await add('events', { sender: own.toUpperCase() });
    await add('events', { payload: JSON.stringify({ to: [{ email: own.normalize('NFD') }] }) });
    await add('events', { sender: 'jurgen@bucher.example' });
    expect(await erase(mapped(EVENTS))).toMatchObject({ outcome: 'succeeded', deleted: 3 });
    expect(await left(e.db, 'events')).toBe(1);
  });

  it('are found when the row that had the address is gone already', async () => {
    const services = mapped(EVENTS);
    await add('events', { sender: 'me@example.com' });
    await e.db.sql(
      "insert into retention.hold (scope, subject, reason, placed_by) values ('user', $1, 'matter 7', 'bob')",
      [me],
    );
    expect(await eraseSubject(services, order())).toMatchObject({ outcome: 'interrupted', kept: 2 });
    await e.db.sql(
      "update retention.hold set released_by = 'cy', released_at = now(), release_reason = 'over'",
    );
    await e.db.sql('delete from people where id = $1', [me]);
    expect(await again(services)).toMatchObject({ outcome: 'succeeded' });
    expect(await left(e.db, 'events')).toBe(0);
  });

  it('cannot be looked for without a key: the erasure is refused and names it', async () => {
    const services = mapped(EVENTS);
    const keyless = { ...services, settings: { ...services.settings, rightsKeys: [] } };
    const asked = await attempt(keyless);
    expect(asked).toMatchObject({ outcome: 'errored', reason: 'undecided' });
    expect(asked.message).toContain('LAPSE_RIGHTS_KEY');
    expect(await left(e.db, 'people')).toBe(2);
  });

  it('may also be named by the id itself, in a column or in a payload', async () => {
    const services = mapped({
      'public.events': {
        kept: 'for a while',
        mentions: [
          { column: 'payload', path: '$.user', is: 'user' },
          { column: 'sender', is: 'user' },
        ],
        confidential: { delete: ['payload', 'sender'] },
      },
    });
    await add('events', { payload: JSON.stringify({ user: me }) });
    await add('events', { sender: me });
    await add('events', { sender: other, payload: JSON.stringify({ user: other }) });
    expect(await erase(services)).toMatchObject({ outcome: 'succeeded', deleted: 3 });
    expect(await left(e.db, 'events')).toBe(1);
  });

  it('are found however the id is written, there or in the request, which is one', async () => {
    const services = mapped({
      'public.events': {
        kept: 'for a while',
        mentions: [
          { column: 'payload', path: '$.user', is: 'user' },
          { column: 'sender', is: 'user' },
        ],
        confidential: { delete: ['payload', 'sender'] },
      },
    });
    for (const id of [me, me.toUpperCase()]) {
      await add('events', { payload: JSON.stringify({ user: id }) });
      await add('events', { sender: id });
    }
    await add('events', { sender: other.toUpperCase() });
    await e.db.sql(
      "insert into retention.hold (scope, subject, reason, placed_by) values ('user', $1, 'matter 7', 'bob')",
      [me],
    );
    const held = await eraseSubject(services, order(me.toUpperCase()));
    expect(held).toMatchObject({ outcome: 'interrupted', deleted: 0, kept: 5 });
    await e.db.sql(
      "update retention.hold set released_by = 'cy', released_at = now(), release_reason = 'over'",
    );
    expect(await erase(services, me.toUpperCase())).toMatchObject({ outcome: 'succeeded', deleted: 5 });
    expect(await left(e.db, 'events')).toBe(1);
    expect(await e.db.sql('select subject from retention.erasure')).toEqual([{ subject: me }]);
  });
});

describe('a hold', () => {
  const MAP: DataMapInput = {
    'public.a': { kept: 'while it lasts', confidential: { delete: ['person'] } },
    'public.b': { kept: 'with its a row', confidential: { delete: ['a'] } },
  };
  const hold = (scope: string, subject: string, label: string | null = null) =>
    e.db.sql(
      "insert into retention.hold (scope, subject, table_name, reason, placed_by) values ($1, $2, $3, 'matter 7', 'bob')",
      [scope, subject, label],
    );
  let [a, b] = ['', ''];
  beforeEach(async () => {
    await table('a', 'person uuid references people on delete cascade');
    await table('b', 'a uuid references a on delete cascade');
    a = await add('a', { person: me });
    b = await add('b', { a });
    await add('b', { a: await add('a', { person: me }) });
  });

  it('on a row keeps what is reached through it, and every row it belongs to', async () => {
    await hold('item', a, 'public.a');
    expect(await erase(mapped(MAP))).toMatchObject({ outcome: 'interrupted', deleted: 2, kept: 3 });
    expect(await left(e.db, 'a')).toBe(1);
    expect(await left(e.db, 'b')).toBe(1);
    expect(await left(e.db, 'people')).toBe(2);
  });

  it('on a row below keeps every row above it', async () => {
    await hold('item', b, 'public.b');
    expect(await erase(mapped(MAP))).toMatchObject({ outcome: 'interrupted', deleted: 2, kept: 3 });
  });

  it('on somebody else keeps every row that names them, in whichever column', async () => {
    await table(
      'talks',
      'person uuid references people',
      'guest uuid references people',
      'host uuid',
      'above uuid references talks',
    );
    const services = mapped({
      ...MAP,
      'public.talks': {
        kept: 'while it lasts',
        detach: ['guest'],
        mentions: [{ column: 'host', is: 'user' }],
        confidential: { mask: { person: null, host: null, above: null } },
      },
    });
    const talk = await add('talks', { person: me, host: other });
    await add('talks', { guest: me, above: talk });
    await add('talks', { guest: me });
    await hold('user', other);
    const done = await attempt(services);
    expect(done).toMatchObject({ outcome: 'interrupted' });
    expect(await e.db.sql('select person, guest, host from talks order by person, above')).toEqual([
      { person: me, guest: null, host: other },
      { person: null, guest: me, host: null },
      { person: null, guest: null, host: null },
    ]);
  });

  it('on the subject keeps all of it, also rows that do not name it', async () => {
    await hold('user', me);
    expect(await erase(mapped(MAP))).toMatchObject({ outcome: 'interrupted', deleted: 0, kept: 5 });
  });
});

describe('a row that stays', () => {
  const MAP: DataMapInput = {
    'public.invoices': { kept: 'tax law, ten years', confidential: { mask: { person: null } } },
    'public.lines': { kept: 'with its invoice', confidential: { delete: ['invoice'] } },
  };

  it('keeps what leads to rows that a hold keeps, until they may go', async () => {
    await table('invoices', 'person uuid references people');
    await table('lines', 'invoice uuid references invoices');
    const line = await add('lines', { invoice: await add('invoices', { person: me }) });
    await e.db.sql(
      "insert into retention.hold (scope, subject, table_name, reason, placed_by) values ('item', $1, 'public.lines', 'matter 7', 'bob')",
      [line],
    );
    const held = await attempt(mapped(MAP));
    expect(held).toMatchObject({ outcome: 'interrupted', masked: 0 });
    expect(held.policies.find((s) => s.table === 'public.invoices')).toMatchObject({ reason: 'waits' });
    expect(await e.db.sql('select person from invoices')).toEqual([{ person: me }]);
    await e.db.sql(
      "update retention.hold set released_by = 'cy', released_at = now(), release_reason = 'over'",
    );
    expect(await again(mapped(MAP))).toMatchObject({
      outcome: 'succeeded',
      erasures: [{ deleted: 2, masked: 1 }],
    });
    expect(await e.db.sql('select person from invoices')).toEqual([{ person: null }]);
  });

  it('and leads to others in a circle of tables is masked after them', async () => {
    await table('letters', 'person uuid references people');
    await table('pages', 'letter uuid references letters', 'words text');
    await e.db.sql(
      'alter table letters add column page uuid references pages; create index on letters (page)',
    );
    const services = mapped({
      'public.letters': { kept: 'for a while', confidential: { mask: { person: null, page: null } } },
      'public.pages': {
        kept: 'for a while',
        confidential: {
          mask: { words: null },
          retain: { columns: ['letter'], ground: 'tax law, AO 147', until: 'removal' },
        },
      },
    });
    const page = await add('pages', { letter: await add('letters', { person: me }), words: 'of me' });
    await add('pages', { letter: await add('letters', { page }), words: 'of me' });
    await add('pages', { letter: await add('letters', { person: other }), words: 'theirs' });
    expect(await erase(services)).toMatchObject({ outcome: 'succeeded', deleted: 1, masked: 4 });
    expect(await e.db.sql('select words from pages where words is not null')).toEqual([{ words: 'theirs' }]);
    expect(await e.db.sql('select 1 from letters where page is not null')).toEqual([]);
  });

  it('and leads to others of its own table is masked after them, also where the ground of some has ended', async () => {
    await table(
      'notes',
      'person uuid references people',
      'answers uuid references notes',
      'words text',
      'vat text',
      'paid_at date',
    );
    const services = mapped({
      'public.notes': {
        kept: 'for a while',
        confidential: {
          mask: { person: null, answers: null, words: null },
          retain: { columns: ['vat'], ground: 'tax law, AO 147', until: { days: 1, after: 'paid_at' } },
        },
      },
    });
    const first = await add('notes', { person: me, words: 'of me', vat: 'x', paid_at: '2001-01-01' });
    const second = await add('notes', { answers: first, words: 'of me', vat: 'x' });
    await add('notes', { answers: second, words: 'of me', vat: 'x', paid_at: '2001-01-01' });
    await add('notes', { person: other, words: 'theirs' });
    expect(await erase(services)).toMatchObject({ outcome: 'succeeded', deleted: 1, masked: 3 });
    expect(await e.db.sql('select words, vat from notes order by words, vat')).toEqual([
      { words: 'theirs', vat: null },
      { words: null, vat: 'x' },
      { words: null, vat: null },
      { words: null, vat: null },
    ]);
  });

  it('waits for what it leads to also where tables refer to each other by what is only detached', async () => {
    await table('bookings', 'person uuid references people');
    await table('bills', 'order_id uuid references bookings', 'words text');
    await e.db.sql(
      'alter table bookings add column bill uuid references bills; create index on bookings (bill)',
    );
    const services = mapped({
      'public.bookings': { kept: 'for a while', detach: ['bill'], confidential: { mask: { person: null } } },
      'public.bills': { kept: 'with its order', confidential: { delete: ['order_id', 'words'] } },
    });
    await add('bills', { order_id: await add('bookings', { person: me }) });
    await add('bills', { order_id: await add('bookings', { person: other }) });
    expect(await erase(services)).toMatchObject({ outcome: 'succeeded', deleted: 2, masked: 1 });
    expect(await left(e.db, 'bills')).toBe(1);
  });

  it('of another kind of subject loses the name of this one, and nothing else', async () => {
    await table('teams', 'owner uuid references people on delete set null', 'title text');
    await add('teams', { owner: me, title: 'ours' });
    await add('teams', { owner: other, title: 'theirs' });
    const teams: DataMapInput = {
      'public.teams': {
        kept: 'while it lasts',
        subject: 'organization',
        internal: { mask: { owner: null, title: null } },
      },
    };
    expect(await erase(mapped(teams))).toMatchObject({ outcome: 'succeeded', deleted: 1, masked: 1 });
    expect(await e.db.sql('select owner, title from teams order by title')).toEqual([
      { owner: null, title: 'ours' },
      { owner: other, title: 'theirs' },
    ]);
  });

  it('is masked so by an erasure only: no policy may declare it', () => {
    const strategy = {
      kind: 'erasure-mask' as const,
      mask: { kind: 'mask' as const, mark: 'at', columns: [{ column: 'note', to: null }] },
      pending: sql`true`,
    };
    expect(() => thingsPolicy({ strategy })).toThrow('only an erasure masks so');
  });
});

it('what the role may not read refuses the erasure, with the rights it needs', async () => {
  await table('a', 'person uuid references people on delete cascade');
  await e.db.sql('revoke all on a from lapse_app');
  const services = mapped({ 'public.a': { kept: 'while it lasts', confidential: { delete: ['person'] } } });
  const refused = await eraseSubject(services, { ...order(), dryRun: true });
  expect(refused).toMatchObject({ outcome: 'errored', reason: 'undecided' });
  expect(refused.problems).toEqual([
    {
      problem: 'the role may not read public.a',
      remedy: 'GRANT SELECT, UPDATE, DELETE ON "public"."a" TO lapse_app;',
    },
  ]);
  await e.db.sql(refused.problems[0]!.remedy);
  expect(await erase(services)).toMatchObject({ outcome: 'succeeded', deleted: 1 });
});

it('partitions that the role may not read refuse the erasure, with what opens them', async () => {
  await e.db.sql(
    'create table a (id uuid primary key, person uuid references people) partition by hash (id); create index on a (person)',
  );
  await e.db.sql('create table a_0 partition of a for values with (modulus 1, remainder 0)');
  await e.db.sql('revoke all on a_0 from lapse_app; grant select, update, delete on a to lapse_app');
  const services = mapped({ 'public.a': { kept: 'while it lasts', confidential: { delete: ['person'] } } });
  const refused = await eraseSubject(services, { ...order(), dryRun: true });
  expect(refused.problems).toContainEqual({
    problem: 'the role may not read every partition of public.a',
    remedy: `SELECT retention.open_partitions('"public"."a"'); until it answers 0`,
  });
});

it('a request that was taken back is not carried out', async () => {
  await table('a', 'person uuid references people');
  const asked = await attempt(mapped({}));
  expect(asked.reason).toBe('undecided');
  await e.db.sql("select retention.withdraw_erasure($1, 'a mistake', 'ann')", [asked.id]);
  const request = { id: asked.id!, scope: 'user' as const, subject: me, identifiers: {} };
  const done = await carryOut(
    mapped({ 'public.a': { kept: 'while it lasts', confidential: { delete: ['person'] } } }),
    request,
    order(),
  );
  expect(done).toMatchObject({ outcome: 'interrupted', reason: 'not_open', deleted: 0 });
  expect(await left(e.db, 'people')).toBe(2);
});

describe('what nobody has decided', () => {
  it('of the subject itself refuses the erasure', async () => {
    const services = {
      ...mapped({}),
      dataMap: defineDataMap({ 'public.people': { undecided: true, subject: 'user' } }),
    };
    const asked = await attempt(services);
    expect(asked).toMatchObject({ outcome: 'errored', reason: 'undecided' });
    expect(asked.message).toContain('its rows are such subjects');
  });

  it.each([
    ['a table without a line', {}, 'public.a (person) names the subject'],
    ['a table that is undecided', { 'public.a': { undecided: true } }, 'public.a (person) names the subject'],
    [
      'a column without a handling',
      { 'public.a': { kept: 'tax law, ten years', confidential: { mask: { words: null } } } },
      'has no handling',
    ],
    [
      'a row that is retained and refers to one that goes',
      {
        'public.a': { kept: 'while it lasts', confidential: { delete: ['person'] } },
        'public.b': {
          kept: 'tax law, ten years',
          confidential: { retain: { columns: ['a'], ground: 'tax law, AO 147', until: 'removal' } },
        },
      },
      'public.b.a is retained',
    ],
    [
      'a reference without a cascade',
      {
        'public.a': { kept: 'while it lasts', confidential: { delete: ['person'] } },
        'public.b': { kept: 'while it lasts', confidential: { delete: ['words'] } },
      },
      'public.b (a) refers to public.a',
    ],
  ] as [string, DataMapInput, string][])(
    '%s refuses the erasure, before anything is deleted',
    async (_, map, says) => {
      await table('a', 'person uuid references people', 'words text');
      await table('b', 'a uuid references a', 'words text');
      await add('b', { a: await add('a', { person: me }) });
      const asked = await attempt(mapped(map));
      expect(asked).toMatchObject({ outcome: 'errored', reason: 'undecided', deleted: 0 });
      expect(asked.message).toContain(says);
      expect(asked.problems.every((p) => p.remedy.length > 0)).toBe(true);
      for (const [name, n] of [
        ['a', 1],
        ['b', 1],
        ['people', 2],
      ] as const)
        expect(await left(e.db, name)).toBe(n);
      expect(await left(e.db, 'retention.receipt')).toBe(0);
    },
  );

  it('is no matter where nothing of the subject refers to it', async () => {
    await table('elsewhere', 'words text');
    expect(await erase(mapped({}))).toMatchObject({ outcome: 'succeeded', deleted: 1 });
  });

  it.each([
    ['no key', 'create table a (person uuid references people); create index on a (person)', 'has no key'],
    [
      'a key of text',
      'create table a (id text primary key, person uuid references people); create index on a (person)',
      'is text',
    ],
    [
      'partitions and no policy',
      'create table a (id uuid, person uuid references people, primary key (id)) partition by hash (id); create index on a (person)',
      'is partitioned',
    ],
  ])('a table with %s is refused with what to do', async (_, ddl, says) => {
    await e.db.sql(ddl);
    const asked = await attempt(
      mapped({ 'public.a': { kept: 'while it lasts', confidential: { delete: ['person'] } } }),
    );
    expect(asked).toMatchObject({ outcome: 'errored', reason: 'undecided' });
    expect(asked.message).toContain(says);
  });
});

it('an id that no column can hold is refused before anything is remembered', async () => {
  await expect(eraseSubject(mapped({}), order('42'))).rejects.toThrow('public.people has id (uuid)');
  expect(await left(e.db, 'retention.erasure')).toBe(0);
});

it.each([3, 6, 9, 12, 15, 18, 21])(
  'killed at database request %i and resumed, every row that went is in exactly one receipt and counted once',
  async (at) => {
    await table('a', 'person uuid references people on delete cascade');
    await table('b', 'a uuid references a on delete cascade');
    const services = mapped({
      'public.a': { kept: 'while it lasts', confidential: { delete: ['person'] } },
      'public.b': { kept: 'with its a row', confidential: { delete: ['a'] } },
    });
    for (let i = 0; i < 3; i += 1) await add('b', { a: await add('a', { person: me }) });
    let n = 0;
    const { database } = services;
    const mortal = {
      ...services,
      settings: { ...services.settings, batchSize: 2 },
      database: {
        transaction: async (...x: Parameters<typeof database.transaction>) => {
          n += 1;
          if (n === at) await database.transaction(...x).catch(() => undefined);
          if (n >= at) throw new Error('killed');
          return database.transaction(...x);
        },
      },
    };
    await eraseSubject(mortal, order()).catch(() => undefined);
    for (const name of ['a', 'b', 'people']) {
      const key = `${e.services.redis.prefix}erasure:public.${name}:lease`;
      await e.services.redis.eval("redis.call('del', KEYS[1])", [key], []);
    }
    const done = await eraseSubject(services, order());
    expect(done).toMatchObject({ outcome: 'succeeded' });
    expect(await left(e.db, 'people')).toBe(1);
    const keys = await e.db.sql<{ n: number; keys: number }>(
      'select count(*)::int as n, count(distinct k)::int as keys from retention.receipt r, unnest(retention.keys_of(r)) k',
    );
    expect(keys).toEqual([{ n: 7, keys: 7 }]);
    const counted = await e.db.sql('select sum(deleted)::int as n from retention.erasure_step');
    expect(counted).toEqual([{ n: 7 }]);
  },
);
