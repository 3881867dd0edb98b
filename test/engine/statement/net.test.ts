/**
 * The net: the database's own count of what a batch deleted, in every table, is what its receipt names. Preflight is
 * told to see nothing here, so that only the net is left.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { runPolicy } from '@/lib/engine/run/run';
import { connect } from '@/lib/platform/database';
import type { PolicyInput } from '@/lib/policies/contract';
import {
  DAY,
  type Engine,
  engine,
  govern,
  left,
  NOW,
  receipted,
  runRequest,
  things,
} from '../../support/engine';

vi.mock('@/lib/engine/statement/preflight', async (original) => ({
  ...(await original<typeof import('@/lib/engine/statement/preflight')>()),
  judgeFacts: () => [],
}));

let e: Engine;
beforeEach(async () => {
  e = await engine();
});
afterEach(() => e.stop());

const notes: NonNullable<PolicyInput['dependants']>[number] = {
  table: { name: 'notes' },
  key: [{ column: 'id', type: 'int4' }],
  references: ['thing'],
  fate: 'delete',
};

/** Three expired things, and a table `notes` that refers to them. */
async function withNotes(onDelete: string, changes: Partial<PolicyInput> = {}) {
  const policy = await govern(e.db, changes);
  const ids = await things(e.db, [40 * DAY, 41 * DAY, 42 * DAY]);
  await e.db.sql(`create table notes (id serial primary key, thing uuid references things ${onDelete})`);
  await e.db.sql('create index on notes (thing)');
  await e.db.sql('grant select, update, delete on notes to lapse_app');
  await e.db.sql('insert into notes (thing) values ($1::uuid), ($1::uuid)', [ids[0]]);
  return policy;
}

async function expectNothingGone(result: { outcome: string; message: string }, lost: RegExp, rows = 3) {
  expect(result).toMatchObject({ outcome: 'errored', message: expect.stringMatching(lost) });
  expect(await left(e.db)).toBe(rows);
  expect(await receipted(e.db)).toEqual(new Map());
}

describe('a batch rolls back, and says which table lost rows, when', () => {
  it('a cascade takes rows along that no receipt names', async () => {
    const policy = await withNotes('on delete cascade');
    await expectNothingGone(await e.run(policy), /5 rows left, the receipt names 3.*public\.notes lost 2/);
    expect(await left(e.db, 'notes')).toBe(2);
  });

  it('a cascade goes on below a declared dependant', async () => {
    const policy = await withNotes('on delete cascade', { dependants: [notes] });
    await e.db.sql('create table marks (id serial primary key, note int references notes on delete cascade)');
    await e.db.sql('insert into marks (note) select id from notes');
    await expectNothingGone(await e.run(policy), /7 rows left, the receipt names 5.*public\.marks lost 2/);
  });

  it('a table refers to itself, and a live child goes with its parent', async () => {
    const policy = await govern(e.db);
    const [parent] = await things(e.db, [40 * DAY, 0]);
    await e.db.sql('alter table things add column parent uuid references things on delete cascade');
    await e.db.sql('update things set parent = $1::uuid where id <> $1::uuid', [parent]);
    await expectNothingGone(
      await e.run(policy),
      /2 rows left, the receipt names 1.*public\.things lost 2/,
      2,
    );
  });

  it.each(['before', 'after'])('a trigger %s delete removes rows of another table', async (when) => {
    const policy = await govern(e.db, { knownTriggers: ['takes_along'] });
    await things(e.db, [40 * DAY, 41 * DAY, 42 * DAY]);
    await e.db.sql('create table other (id int)');
    await e.db.sql('insert into other select generate_series(1, 10)');
    await e.db.sql(`create function takes_along() returns trigger language plpgsql security definer as $$ begin
      delete from other where id = (select min(id) from other); return old; end $$`);
    await e.db.sql(
      `create trigger takes_along ${when} delete on things for each row execute function takes_along()`,
    );
    await expectNothingGone(await e.run(policy), /6 rows left, the receipt names 3.*public\.other lost 3/);
    expect(await left(e.db, 'other')).toBe(10);
  });

  it('a trigger that nobody declared puts rows back', async () => {
    const policy = await govern(e.db);
    await things(e.db, [40 * DAY, 41 * DAY, 42 * DAY]);
    await e.db.sql(`create function undo() returns trigger language plpgsql security definer as $$ begin
      insert into things select old.*; return null; end $$`);
    await e.db.sql('create trigger undo after delete on things for each row execute function undo()');
    await expectNothingGone(
      await e.run(policy),
      /rows came into a table that lost some: public\.things got 3/,
    );
  });

  it('a rule deletes rows of another table as well', async () => {
    const policy = await govern(e.db);
    await things(e.db, [40 * DAY, 41 * DAY, 42 * DAY]);
    await e.db.sql('create table other (id int)');
    await e.db.sql('insert into other values (1)');
    await e.db.sql('create rule along as on delete to things do also delete from other');
    const { outcome } = await e.run(policy);
    expect(outcome).toBe('errored');
    expect([await left(e.db), await left(e.db, 'other')]).toEqual([3, 1]);
  });

  it('a soft delete makes a trigger delete rows', async () => {
    const policy = await govern(e.db, {
      strategy: { kind: 'soft-delete', column: 'gone_at', purgeAfter: { seconds: DAY } },
    });
    await e.db.sql('alter table things add column gone_at timestamptz');
    await things(e.db, [40 * DAY]);
    await e.db.sql('create table other (id int)');
    await e.db.sql('insert into other values (1)');
    await e.db.sql(
      `create function along() returns trigger language plpgsql security definer as $$ begin delete from other; return new; end $$`,
    );
    await e.db.sql('create trigger along after update on things for each row execute function along()');
    await expectNothingGone(await e.run(policy), /1 rows left, the receipt names 0.*public\.other lost 1/, 1);
  });
});

it('deletions of the session’s earlier transactions do not count', async () => {
  const policy = await withNotes('on delete cascade', { dependants: [notes] });
  await e.db.sql('create table unrelated (id int)');
  await e.db.sql('insert into unrelated select generate_series(1, 100)');
  await e.db.sql('grant select, delete on unrelated to lapse_app');
  // The same few sessions serve all requests of this login.
  await e.services.database.transaction([{ text: 'delete from unrelated', params: [] }], {
    timeoutMs: 5_000,
  });
  expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 3, dependantsDeleted: 2 });
});

it('a batch is refused where the database does not count', async () => {
  const policy = await withNotes('on delete cascade', { dependants: [notes] });
  await e.db.sql(`alter database "${e.db.name}" set track_counts = off`);
  expect(await e.run(policy)).toMatchObject({
    outcome: 'errored',
    message: expect.stringContaining('track_counts'),
  });
  expect(await left(e.db)).toBe(3);
});

describe('the role of the app cannot delete a governed row', () => {
  const asApp = (...statements: string[]) =>
    e.services.database.transaction(
      statements.map((text) => ({ text, params: [] })),
      { timeoutMs: 5_000 },
    );

  it('without a batch, while the owner can', async () => {
    await withNotes('on delete cascade');
    await expect(asApp('delete from notes')).resolves.toBeDefined();
    await expect(asApp('delete from things')).rejects.toThrow(/LP012.*without a receipt/);
    expect(await left(e.db)).toBe(3);
    await e.db.sql('delete from things');
    expect(await left(e.db)).toBe(0);
  });

  it.each([
    [
      'a batch number it sets itself',
      `select set_config('lapse.batch', gen_random_uuid()::text || ':1', true)`,
    ],
    [
      'a proof it sets itself',
      `select set_config('lapse.proof', repeat('0', 64), true), set_config('lapse.deletions', '{}', true)`,
    ],
    ['constraints made immediate', 'set constraints all immediate'],
    ['a list of confirmed statements it sets itself', `select set_config('lapse.unconfirmed', '1', true)`],
    ['an empty list in the middle of it', `select set_config('lapse.unconfirmed', '', true)`],
  ])('with %s', async (_, first) => {
    await withNotes('on delete cascade');
    await expect(
      asApp(first, 'delete from things', `select retention.confirm_batch(gen_random_uuid(), 1, 0)`),
    ).rejects.toThrow(/LP012/);
    await expect(asApp(first, 'delete from things', first)).rejects.toThrow(/LP012/);
    expect(await left(e.db)).toBe(3);
  });

  it('after a batch has confirmed its own counts', async () => {
    const policy = await withNotes('on delete cascade', { dependants: [notes] });
    const more = { text: 'delete from things', params: [] };
    const database = {
      ...e.services.database,
      transaction: (
        statements: Parameters<typeof e.services.database.transaction>[0],
        o: { timeoutMs: number },
      ) =>
        e.services.database.transaction(
          statements.some((s) => s.text.includes('confirm_batch')) ? [...statements, more] : statements,
          o,
        ),
    };
    await things(e.db, [0]);
    const result = await runPolicy({ ...e.services, database }, policy, runRequest(NOW));
    expect(result).toMatchObject({ outcome: 'errored', message: expect.stringContaining('LP012') });
    expect(await left(e.db)).toBe(4);
  });
});

it('what a proof is made of is readable by its owner only', async () => {
  const app = connect(e.db.env.DATABASE_URL!, e.db.env.NEON_HTTP_ENDPOINT);
  for (const text of [
    'select * from retention.batch_secret',
    'select retention.proof_of(gen_random_uuid(), 1, $${}$$::jsonb)',
    'delete from retention.unconfirmed_deletion',
    'insert into retention.unconfirmed_deletion default values',
  ]) {
    await expect(app.transaction([{ text, params: [] }], { timeoutMs: 5_000 })).rejects.toThrow(/42501/);
  }
});
