/** An erasure takes the same tree that policies declare, from the subject downwards, and what its rows are the last to refer to. */
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Policy, PolicyInput } from '@/lib/policies/contract';
import { type DataMapInput, defineDataMap } from '@/lib/policies/data-map-contract';
import { confirmRequest, eraseSubject } from '@/lib/rights/erase';
import { type Engine, engine, NOW, thingsPolicy } from '../support/engine';

let e: Engine;
let me: string;
let other: string;
const ID = [{ column: 'id', type: 'uuid' }];

beforeEach(async () => {
  e = await engine({ env: { LAPSE_RIGHTS_KEY: 'ab'.repeat(32) } });
  [me, other] = [randomUUID(), randomUUID()];
  await table('people', 'name text');
  await e.db.sql('insert into people (id) values ($1), ($2)', [me, other]);
});
afterEach(() => e.stop());

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
const ids = async (name: string) =>
  (await e.db.sql<{ id: string }>(`select id from ${name} order by id`)).map((r) => r.id);

const PEOPLE: DataMapInput = {
  'public.people': { kept: 'while it lasts', subject: 'user', confidential: { delete: ['name'] } },
};
const policyOf = (input: Partial<PolicyInput>): Policy => thingsPolicy({ key: ID, scope: {}, ...input });

/** Erases after a dry run, which has to say the same. */
async function erase(policies: Policy[], map: DataMapInput) {
  const services = { ...e.services, policies, dataMap: defineDataMap({ ...PEOPLE, ...map }) };
  const order = {
    subject: { scope: 'user' as const, id: me },
    reason: 'request 12',
    actor: 'ann',
    correlationId: 'test',
    deadline: new Date(NOW.getTime() + 240_000),
    dryRun: false,
  };
  const dry = await eraseSubject(services, { ...order, dryRun: true });
  const asked = await eraseSubject(services, order);
  const done =
    asked.outcome === 'waiting'
      ? await confirmRequest(services, { ...order, actor: 'ben', id: asked.id!, reason: 'checked' })
      : asked;
  const along = (r: typeof done) => r.policies.reduce((sum, s) => sum + s.dependantsDeleted, 0);
  expect([dry.deleted, along(dry), dry.kept], done.message).toEqual([done.deleted, along(done), done.kept]);
  return done;
}

describe('below rows that no policy governs', () => {
  const THREADS = () =>
    policyOf({
      name: 'threads',
      table: { name: 'threads' },
      dependants: [
        { table: { name: 'messages' }, key: ID, references: ['thread'], fate: 'delete' },
        {
          table: { name: 'parts' },
          via: { name: 'messages' },
          key: ID,
          references: ['message'],
          fate: 'delete',
        },
        { table: { name: 'scans' }, via: { name: 'parts' }, key: ID, references: ['part'], fate: 'keep' },
      ],
    });
  const MAP: DataMapInput = {
    'public.messages': { policy: 'threads', confidential: { delete: ['person'] } },
  };
  beforeEach(async () => {
    await table('threads', 'at timestamptz', 'words text');
    await table(
      'messages',
      'thread uuid references threads on delete cascade',
      'person uuid references people',
    );
    await table('parts', 'message uuid references messages on delete cascade', 'org uuid');
    await table('scans', 'part uuid references parts on delete set null', 'words text');
  });

  it('goes what a policy declares there, without a line of the map for each table', async () => {
    const thread = await add('threads', { id: randomUUID() });
    const mine = await add('messages', { thread, person: me });
    const theirs = await add('messages', { thread, person: other });
    await add('parts', { message: mine });
    const left = await add('parts', { message: theirs });
    const done = await erase([THREADS()], MAP);
    expect(done).toMatchObject({ outcome: 'succeeded', deleted: 2 });
    expect([await ids('threads'), await ids('messages'), await ids('parts')]).toEqual([
      [thread],
      [theirs],
      [left],
    ]);
  });

  it('a hold on a row there keeps every row above it', async () => {
    const message = await add('messages', { person: me });
    const part = await add('parts', { message });
    await e.db.sql(
      `insert into retention.hold (scope, subject, table_name, reason, placed_by) values ('item', $1, 'public.parts', 'matter 7', 'bob')`,
      [part],
    );
    const done = await erase([THREADS()], MAP);
    expect(done).toMatchObject({ outcome: 'interrupted', deleted: 0 });
    expect([await ids('messages'), await ids('parts')]).toEqual([[message], [part]]);
  });

  it('is masked what the map says of rows that only lose their reference there', async () => {
    const mine = await add('messages', { person: me });
    const part = await add('parts', { message: mine });
    await add('scans', { part, words: 'of me' });
    const other = await add('scans', { words: 'of nobody' });
    const done = await erase([THREADS()], {
      ...MAP,
      'public.scans': { kept: 'for a while', confidential: { mask: { part: null, words: null } } },
    });
    expect(done).toMatchObject({ outcome: 'succeeded', deleted: 2, masked: 1 });
    expect(await e.db.sql('select words from scans where id <> $1', [other])).toEqual([{ words: null }]);
  });
});

it('a dry run counts once what is reached by itself and declared to hang on rows that go, too', async () => {
  const answers = { table: { name: 'answers' }, key: ID, references: ['paper'], fate: 'delete' as const };
  const policy = policyOf({ name: 'papers', table: { name: 'papers' }, dependants: [answers] });
  await table('papers', 'at timestamptz', 'person uuid references people');
  await table('answers', 'paper uuid references papers on delete cascade');
  await add('answers', { paper: await add('papers', { person: me }) });
  const done = await erase([policy], {
    'public.papers': { policy: 'papers', confidential: { delete: ['person'] } },
    'public.answers': { kept: 'with its paper', confidential: { delete: ['paper'] } },
  });
  expect(done, done.message).toMatchObject({ outcome: 'succeeded', deleted: 3 });
});

describe('what the rows refer to', () => {
  const CONTENT = {
    table: { name: 'texts' },
    key: ID,
    references: [['body']],
    fate: 'with-last-reference' as const,
  };
  const documents = (more: object = {}) =>
    policyOf({
      name: 'papers',
      table: { name: 'papers' },
      scope: { user: 'person' },
      contents: [{ ...CONTENT, ...more }],
    });
  beforeEach(async () => {
    await table('texts', 'path text');
    await table('papers', 'at timestamptz', 'person uuid references people', 'body uuid references texts');
  });

  it('goes when nobody else’s row refers to it, with its file, and stays otherwise', async () => {
    const [own, shared, theirs] = [
      await add('texts', { id: randomUUID() }),
      await add('texts', { id: randomUUID() }),
      await add('texts', { id: randomUUID() }),
    ];
    await add('papers', { person: me, body: own });
    await add('papers', { person: me, body: own });
    await add('papers', { person: me, body: shared });
    const left = await add('papers', { person: other, body: shared });
    await add('papers', { person: other, body: theirs });
    const done = await erase([documents()], {});
    expect(done).toMatchObject({ outcome: 'succeeded', deleted: 4 });
    expect(done.policies.find((s) => s.policy === 'papers')).toMatchObject({
      deleted: 3,
      dependantsDeleted: 1,
    });
    expect(await ids('texts')).toEqual([shared, theirs].sort());
    expect(await ids('papers')).toContain(left);
  });

  it('goes with rows of a dependant that the map decides, and with a reference that it empties', async () => {
    await table(
      'lines',
      'document uuid references papers on delete cascade',
      'person uuid references people',
      'body uuid references texts',
    );
    await table('drafts', 'person uuid references people', 'body uuid references texts');
    const policy = policyOf({
      name: 'papers',
      table: { name: 'papers' },
      dependants: [{ table: { name: 'lines' }, key: ID, references: ['document'], fate: 'delete' }],
      contents: [
        {
          ...CONTENT,
          referredBy: [{ table: { name: 'lines' }, columns: ['body'] }],
          sharedWith: [{ table: { name: 'drafts' }, columns: ['body'] }],
        },
      ],
    });
    const [of, kept] = [await add('texts', { id: randomUUID() }), await add('texts', { id: randomUUID() })];
    const document = await add('papers', { id: randomUUID() });
    await add('lines', { document, person: me, body: of });
    await add('lines', { document, person: me, body: kept });
    await add('drafts', { person: other, body: kept });
    const done = await erase([policy], {
      'public.lines': { policy: 'papers', confidential: { delete: ['person'] } },
      'public.drafts': { kept: 'while it lasts', confidential: { delete: ['person'] } },
    });
    expect(done).toMatchObject({ outcome: 'succeeded' });
    expect([await ids('texts'), await ids('papers'), await ids('lines')]).toEqual([[kept], [document], []]);
  });

  it('goes when a mask of the erasure takes the last reference away', async () => {
    const own = await add('texts', { id: randomUUID() });
    const id = await add('papers', { person: me, body: own });
    const done = await erase([documents()], {
      'public.papers': { policy: 'papers', confidential: { mask: { person: null, body: null } } },
    });
    expect(done).toMatchObject({ outcome: 'succeeded', masked: 1 });
    expect([await ids('texts'), await ids('papers')]).toEqual([[], [id]]);
  });
});
