/** What hung on a row at any depth comes back with it, byte for byte, in the order that foreign keys demand; and what was erased does not. */
import { afterEach, expect, it } from 'vitest';
import { erasureRoute } from '@/lib/http/erasure-route';
import { restoreRoute } from '@/lib/http/restore-route';
import { keepArchives } from '@/lib/rights/archives/upkeep';
import { DEEP, deepRows, going, left, person, type Treed, treed } from '../../support/archived-trees';
import { databaseClock } from '../../support/engine';
import { postAs } from '../../support/operators';

let e: Treed;
afterEach(() => e?.stop());

const restore = (body: object) =>
  postAs(
    'alice',
    restoreRoute(() => e.services),
    body,
  );
const erase = (user: string) =>
  postAs(
    'alice',
    erasureRoute(() => e.services),
    { user },
  );

/** Deleted, and its files gone from the store. */
async function gone(changes: { batchSize?: number } = {}): Promise<string> {
  const run = await e.runNow(e.policy, changes);
  expect(run, run.message).toMatchObject({ outcome: 'succeeded' });
  expect(Object.values(await left(e)).every((n) => n === 0)).toBe(true);
  e.pass(60);
  await e.drain();
  return run.runId!;
}

it('a run comes back with every row of every level and its files, is kept from the next night, and comes back once', async () => {
  e = await treed('deep');
  await deepRows(e, 4);
  const run = await gone();
  const answer = await restore({ run });
  expect(answer.body).toMatchObject({
    outcome: 'succeeded',
    counts: { restored: 44, conflict: 0, files_restored: 16 },
    problems: [],
  });
  expect(await e.unlike()).toEqual([]);
  expect(e.stored('mounts/')).toHaveLength(16);
  expect(await e.runNow()).toMatchObject({ deleted: 0, kept: { extended: 4 } });
  expect((await restore({ run })).body).toMatchObject({ counts: { restored: 0, there: 44 } });
  expect(await e.unlike()).toEqual([]);
});

it('one row comes back with all that hung on it, and nothing else', async () => {
  e = await treed('deep');
  const [, second] = await deepRows(e, 3);
  await gone();
  expect((await restore({ key: second, policy: 'pictures' })).body).toMatchObject({
    counts: { restored: 11 },
  });
  expect(await left(e)).toEqual({ pictures: 1, frame: 2, mount: 4, stamp: 4 });
  expect(await e.db.sql('select id from frame order by id')).toEqual([{ id: 3 }, { id: 4 }]);
});

it('rows that refer to their own table come back parents first, however deep', async () => {
  e = await treed('tangled');
  const ids = await e.rows(Array.from({ length: 40 }, (_, i) => ({ age: 40 + i, file: null })));
  // The newest on top: each is looked at, and written into the archive, before the one it refers to.
  for (const [i, id] of ids.entries())
    if (i > 0) await e.db.sql('update pictures set parent = $1 where id = $2', [ids[i - 1], id]);
  await e.remember();
  const run = await gone();
  expect((await restore({ run })).body).toMatchObject({ counts: { restored: 40, refused: 0 }, problems: [] });
  expect(await e.unlike()).toEqual([]);
});

it('a row comes back behind what it names without hanging on it, with it where both name each other', async () => {
  const free = { fate: 'set-null' } as const;
  const dependants = [
    ...DEEP,
    going('stamp', 'twin', { via: { name: 'stamp' }, ...free }),
    going('stamp', 'beside', { refersTo: ['code'], ...free }),
  ];
  e = await treed('deep', { dependants });
  await e.db.sql(`alter table stamp add column twin int references stamp on delete set null, add column beside text
    references pictures (code) on delete set null; create index on stamp (twin); create index on stamp (beside)`);
  await deepRows(e, 4);
  await e.db.sql(`update stamp set twin = (select max(id) from stamp) where id = 1;
    update stamp set twin = 3 where id = 2; update stamp set twin = 2 where id = 3;
    update stamp set beside = (select code from pictures order by at desc, id limit 1)`);
  await e.remember();
  const run = await gone();
  const answer = await restore({ run });
  expect(answer.body).toMatchObject({ counts: { restored: 44, refused: 0 }, problems: [] });
  expect(await e.unlike()).toEqual([]);
});

it('rows that refer to one another in a circle, and to themselves, come back together', async () => {
  e = await treed('tangled');
  const ids = await e.rows([50, 49, 48, 47, 46].map((age) => ({ age, file: null })));
  const [a, b, c, d, f] = ids;
  await e.db.sql(`update pictures set parent = '${b}' where id = '${a}'; update pictures set parent = '${a}' where id = '${b}';
    update pictures set parent = id where id = '${c}'; update pictures set parent = '${b}' where id = '${d}';
    insert into pair values (1, '${f}', '${a}', 'x'), (2, '${d}', '${d}', 'y');
    update pictures set cover = 1 where id = '${f}'; insert into stamp values (1, 1, '[1]'), (2, 2, null)`);
  await e.remember();
  const run = await gone();
  const answer = await restore({ run });
  expect(answer.body).toMatchObject({ counts: { restored: 9, refused: 0 }, problems: [] });
  expect(await e.unlike()).toEqual([]);
});

it('of a circle one of whose rows is another one now nothing comes back, and nothing is written over', async () => {
  e = await treed('tangled');
  const [a, b] = await e.rows([50, 49].map((age) => ({ age, file: null })));
  await e.db.sql(`update pictures set parent = '${b}' where id = '${a}'; update pictures set parent = '${a}' where id = '${b}';
    insert into pair values (1, '${b}', null, 'x')`);
  const run = await gone();
  await e.db.sql('insert into pictures (id, at, bytes) values ($1, now(), 99)', [a]);
  const answer = await restore({ run });
  expect(answer.body).toMatchObject({ counts: { restored: 0, conflict: 1, parent: 2 } });
  expect(await e.db.sql('select bytes::int from pictures')).toEqual([{ bytes: 99 }]);
});

it('below a row that cannot come back nothing does, at any depth', async () => {
  e = await treed('deep');
  await deepRows(e, 2);
  const run = await gone();
  await e.db.sql(`insert into frame values (1, null, null, 'another')`);
  const answer = await restore({ run });
  expect(answer.body).toMatchObject({ counts: { restored: 17, conflict: 1, parent: 4 } });
  expect(await left(e)).toEqual({ pictures: 2, frame: 4, mount: 6, stamp: 6 });
});

it('what went over several batches comes back whole, by its run and by its key', async () => {
  e = await treed('deep');
  const [first] = await deepRows(e, 2);
  await e.db.sql(`insert into stamp select 1000 + i, 1 + i % 2, '{}' from generate_series(1, 60) i`);
  await e.remember();
  const run = await gone({ batchSize: 2 });
  expect((await restore({ key: first, policy: 'pictures' })).body).toMatchObject({
    outcome: 'succeeded',
    counts: { restored: 71 },
    problems: [],
  });
  expect(await left(e)).toEqual({ pictures: 1, frame: 2, mount: 4, stamp: 64 });
  expect((await restore({ run })).body).toMatchObject({ counts: { restored: 11, there: 71 }, problems: [] });
  expect(await e.unlike()).toEqual([]);
});

it.each([
  ['whole', {}],
  ['part by part', { batchSize: 2 }],
])(
  'a person who was named on the way down is erased from archives with all below them, archived %s',
  async (_, how) => {
    e = await treed('deep');
    await deepRows(e, 1);
    await e.db.sql('update mount set person = $1 where id = 1', [person(8)]);
    await e.db.sql(`insert into stamp select 1000 + i, 1 + i % 2, '{}' from generate_series(1, 60) i`);
    const run = await gone(how);
    const erased = await erase(person(8));
    expect(erased.body).toMatchObject({ outcome: 'succeeded' });
    const lines = await e.lines();
    expect(lines.filter(({ line }) => line.u === person(8))).toEqual([]);
    expect(lines.filter(({ table, line }) => table === 'public.stamp' && line.v[1] === '1')).toEqual([]);
    expect((await restore({ run })).body).toMatchObject({ outcome: 'succeeded', counts: { refused: 0 } });
    expect(await e.db.sql('select id from mount order by id')).toEqual([{ id: 2 }, { id: 3 }, { id: 4 }]);
    expect(await e.db.sql('select count(*)::int as n from stamp where mount = 1')).toEqual([{ n: 0 }]);
    expect(await e.db.sql('select count(*)::int as n from stamp where mount = 2')).toEqual([{ n: 31 }]);
  },
);

it('a hold on a row that went over several batches keeps each of its archives', async () => {
  e = await treed('deep');
  const [first] = await deepRows(e, 1);
  await e.db.sql(`insert into stamp select 1000 + i, 1, '{}' from generate_series(1, 60) i`);
  await gone({ batchSize: 2 });
  await e.db.sql(`select retention.place_hold('anna', 'a case', 'item', $1, 'public.pictures')`, [first]);
  await databaseClock(e.db, new Date(Date.now() + 366 * 86_400_000));
  expect(await keepArchives(e.services, () => true)).toMatchObject({ expired: 0 });
  await e.db.sql(`select retention.release_hold('bert', 'over', id) from retention.hold`);
  expect((await keepArchives(e.services, () => true)).expired).toBeGreaterThan(3);
});

it('rows of a table that the policy does not declare any more stop a restore before its first row', async () => {
  e = await treed('deep');
  await deepRows(e, 1);
  const run = await gone();
  const dependants = e.policy.dependants.filter((d) => d.table.name !== 'stamp');
  const route = restoreRoute(() => ({ ...e.services, policies: [{ ...e.policy, dependants }] }));
  const answer = await postAs('alice', route, { run });
  expect(answer).toMatchObject({ status: 422, body: { error: { code: 'unknown_table' } } });
  expect(await left(e)).toEqual({ pictures: 0, frame: 0, mount: 0, stamp: 0 });
});
