/** Archive before delete with what hangs on a row at any depth: every row of every level is archived as it is before it goes. */
import { afterEach, expect, it } from 'vitest';
import { deepRows, expectArchived, left, person, type Treed, treed } from '../../support/archived-trees';

let e: Treed;
afterEach(() => e?.stop());

const keptOfBatches = async () =>
  (await e.db.sql<{ kept: object }>('select kept from retention.receipt order by seq')).map((r) => r.kept);

it('every row and file of every level is in the archive, named by the receipt', async () => {
  e = await treed('deep');
  await deepRows(e, 3);
  const run = await e.runNow();
  expect(run, run.message).toMatchObject({ outcome: 'succeeded', deleted: 3, dependantsDeleted: 30 });
  expect(await e.archives()).toMatchObject([{ state: 'kept', rows: 3, dependants: 30, files: 12 }]);
  const gone = await expectArchived(e);
  expect(gone).toHaveLength(33);
  expect(await e.archivedRows()).toEqual(gone);
  expect(await left(e)).toEqual({ pictures: 0, frame: 0, mount: 0, stamp: 0 });
  e.pass(60);
  await e.drain();
  expect(e.stored('mounts/')).toEqual([]);
});

const levels = [
  ['the first level', 'frame', 'frame = (select min(id) from frame)', `picture = 'c-3' where id = 1`],
  ['the second level', 'mount', '', 'frame = 5 where id = 1'],
  ['the lowest level', 'stamp', '', 'mount = 9 where id = 1'],
] as const;
const added = {
  frame: `insert into frame values (99, 'c-1')`,
  mount: 'insert into mount values (99, 1)',
  stamp: 'insert into stamp values (99, 1)',
};
const removed = {
  frame:
    'delete from stamp where mount in (1, 2); delete from mount where frame = 1; delete from frame where id = 1',
  mount: 'delete from stamp where mount = 1; delete from mount where id = 1',
  stamp: 'delete from stamp where id = 1',
};

it.each(
  levels.flatMap(
    ([level, table, , move]) =>
      [
        ['is changed', level, `update ${table} set id = id where id = 1`, 1, 30],
        ['is added', level, added[table], 1, 31],
        ['is removed', level, removed[table], 1, 30 - { frame: 5, mount: 2, stamp: 1 }[table]],
        ['is moved below another', level, `update ${table} set ${move}`, 2, 30],
      ] as const,
  ),
)(
  'leaves a row below which one %s on %s after it was read, and archives it anew',
  async (_, __, change, n, all) => {
    e = await treed('deep');
    await deepRows(e, 3);
    const run = await e.runWith(change, { batchSize: 10 });
    expect(run, run.message).toMatchObject({ outcome: 'succeeded', deleted: 3, dependantsDeleted: all });
    expect((await keptOfBatches())[0]).toEqual({ changed: n });
    await expectArchived(e);
    expect(await left(e)).toEqual({ pictures: 0, frame: 0, mount: 0, stamp: 0 });
  },
);

it('a hold far below keeps its picture out of the archive, and nothing of it goes', async () => {
  e = await treed('deep');
  const [first] = await deepRows(e, 2);
  await e.db.sql('update mount set person = $1 where id = 1', [person(7)]);
  await e.db.sql(`select retention.place_hold('anna', 'a case', 'user', $1, null)`, [person(7)]);
  expect(await e.runNow()).toMatchObject({ outcome: 'succeeded', deleted: 1, kept: { held: 1 } });
  expect(await e.archives()).toMatchObject([{ rows: 1, dependants: 10 }]);
  expect(await e.archivedRows()).not.toContain(`public.pictures ${first}`);
  expect(await left(e)).toEqual({ pictures: 1, frame: 2, mount: 4, stamp: 4 });
});

it('a row far below that a trigger refuses to let go makes a dead letter, and the others are archived and go', async () => {
  e = await treed('deep');
  const [first] = await deepRows(e, 3);
  await e.db.sql(`create function refuse() returns trigger language plpgsql as $$ begin
      if old.id = 1 then raise exception 'no' using errcode = 'P0001'; end if; return old; end $$;
    create trigger refuse before delete on stamp for each row execute function refuse()`);
  const dependants = e.policy.dependants.map((d) =>
    d.table.name === 'stamp' ? { ...d, knownTriggers: ['refuse'] } : d,
  );
  const run = await e.runNow({ ...e.policy, dependants });
  expect(run, run.message).toMatchObject({ outcome: 'succeeded', deleted: 2, dependantsDeleted: 20 });
  expect(await e.db.sql('select row_key from retention.dead_letter')).toEqual([{ row_key: first }]);
  await expectArchived(e);
});

it('a row far below that a trigger keeps in silence makes a dead letter, too', async () => {
  e = await treed('deep');
  const [first] = await deepRows(e, 3);
  await e.db.sql(`create function keep() returns trigger language plpgsql as $$ begin
      return case when old.id = 1 then null else old end; end $$;
    create trigger keep before delete on stamp for each row execute function keep()`);
  const dependants = e.policy.dependants.map((d) =>
    d.table.name === 'stamp' ? { ...d, knownTriggers: ['keep'] } : d,
  );
  const run = await e.runNow({ ...e.policy, dependants });
  expect(run, run.message).toMatchObject({ outcome: 'succeeded', deleted: 2, dependantsDeleted: 20 });
  expect(await e.db.sql('select row_key from retention.dead_letter')).toEqual([{ row_key: first }]);
});

/** Four pictures: 2 and 3 below 1, 4 for itself; pairs between them, and 1 has one of its pairs as cover. */
async function tangledRows(): Promise<string[]> {
  const ids = await e.rows([50, 49, 48, 47].map((age) => ({ age, file: null })));
  const [a, b, c, d] = ids;
  await e.db.sql(`update pictures set parent = '${a}' where id in ('${b}', '${c}');
    insert into pair values (1, '${a}', '${b}', 'x'), (2, '${b}', '${d}', 'y'), (3, '${c}', '${c}', 'z'), (4, '${d}', null, 'w');
    update pictures set cover = 1 where id = '${a}';
    insert into stamp select i, i, '{}' from generate_series(1, 4) i`);
  await e.remember();
  return ids;
}

it('rows that are reached in several ways and in circles are archived once, each before it goes', async () => {
  e = await treed('tangled');
  await tangledRows();
  const run = await e.runNow();
  expect(run, run.message).toMatchObject({ outcome: 'succeeded', deleted: 4, dependantsDeleted: 8 });
  expect(await e.archivedRows()).toEqual(await expectArchived(e));
  expect(await left(e)).toEqual({ pictures: 0, pair: 0, stamp: 0 });
});

it.each([
  ['changed', 'update stamp set id = id where id = 2'],
  ['added', 'insert into stamp values (9, 2)'],
  ['removed', 'delete from stamp where id = 2'],
])(
  'of rows that are reached in several ways all stay where one was %s, and are archived anew',
  async (_, change) => {
    e = await treed('tangled');
    await tangledRows();
    const run = await e.runWith(change);
    expect(run, run.message).toMatchObject({ outcome: 'succeeded', deleted: 4 });
    expect((await e.archives()).map((a) => a.state)).toEqual(['open', 'kept']);
    await expectArchived(e);
    expect(await left(e)).toEqual({ pictures: 0, pair: 0, stamp: 0 });
  },
);

it('a row with more below it than a batch takes is archived part by part, each before it goes', async () => {
  e = await treed('deep');
  const [first] = await deepRows(e, 3);
  await e.db.sql(`insert into stamp select 1000 + i, 1 + i % 2, '{}' from generate_series(1, 60) i`);
  const run = await e.runNow(e.policy, { batchSize: 2 });
  expect(run, run.message).toMatchObject({ outcome: 'succeeded', deleted: 3, dependantsDeleted: 90 });
  expect(await expectArchived(e)).toHaveLength(93);
  expect(await left(e)).toEqual({ pictures: 0, frame: 0, mount: 0, stamp: 0 });
  const parts = await e.db.sql<{ part_of: string | null }>(
    `select part_of from retention.archive where state = 'kept' order by seq`,
  );
  expect(parts.length).toBeGreaterThan(4);
  expect(parts.filter((p) => p.part_of !== null).every((p) => p.part_of === first)).toBe(true);
});

it('takes no receipt of a part without an archive', async () => {
  e = await treed('deep');
  await deepRows(e, 1);
  await e.db.sql(`insert into stamp select 1000 + i, 1, '{}' from generate_series(1, 60) i`);
  await e.runNow(e.policy, { batchSize: 2 });
  const copy =
    e.db.sql(`insert into retention.receipt (run, seq, policy, policy_version, action, actor, reason, as_of, table_name, form, keys, key_bytes,
      dependants, by_rule, locked, deleted, dependants_deleted, files, bytes, picked, kept)
    select run, seq + 100, policy, policy_version, action, actor, reason, as_of, table_name, form, keys, key_bytes,
      dependants, by_rule, locked, deleted, dependants_deleted, files, bytes, picked, kept
    from retention.receipt where deleted = 0 and dependants_deleted > 0 order by seq limit 1`);
  await expect(copy).rejects.toThrow(/archives before it deletes/);
});

it('a part that changes after it was read is read again, and nothing goes that was not archived as it is', async () => {
  e = await treed('deep');
  await deepRows(e, 1);
  await e.db.sql(`insert into stamp select 1000 + i, 1, '{}' from generate_series(1, 60) i`);
  const late = `update stamp set words = '{"late": true}' where mount = 1`;
  const run = await e.runWith(late, { batchSize: 2 });
  expect(run, run.message).toMatchObject({ outcome: 'succeeded', deleted: 1, dependantsDeleted: 70 });
  await expectArchived(e);
  const lines = await e.lines();
  const kept = lines.filter(({ table, line }) => table === 'public.stamp' && Number(line.k) > 1000);
  expect(kept).toHaveLength(60);
  expect(kept.every(({ line }) => line.v[2] === '{"late": true}')).toBe(true);
});

it('rows in a circle of more than a batch takes go together, and are archived before', async () => {
  e = await treed('tangled');
  const ids = await e.rows(Array.from({ length: 30 }, (_, i) => ({ age: 40 + i, file: null })));
  for (const [i, id] of ids.entries())
    await e.db.sql('update pictures set parent = $1 where id = $2', [ids[(i + 1) % 30], id]);
  const run = await e.runNow(e.policy, { batchSize: 2 });
  expect(run, run.message).toMatchObject({ outcome: 'succeeded', deleted: 30 });
  expect(await e.archivedRows()).toEqual(await expectArchived(e));
});
