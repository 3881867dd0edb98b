/** A trigger that was looked at may keep a row in silence: that row is set aside, and the others go in the same run. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { definePolicy } from '@/lib/policies/contract';
import {
  ago,
  DAY,
  type Engine,
  engine,
  govern,
  left,
  receipted,
  things,
  thingsPolicy,
} from '../../support/engine';

let e: Engine;
beforeEach(async () => {
  e = await engine();
});
afterEach(() => e.stop());

const letters = () =>
  e.db.sql('select row_key, sql_state, constraint_name from retention.dead_letter order by row_key');
const keeping = (event: string) => `create function keep() returns trigger language plpgsql as $$ begin
  if old.note = 'keep' then return null; end if; return ${event === 'delete' ? 'old' : 'new'}; end $$`;

it.each([
  [1, 101],
  [10, 100],
])(
  'sets aside %i of %i rows that a BEFORE DELETE trigger keeps, and deletes the others',
  async (kept, all) => {
    const policy = await govern(e.db, { knownTriggers: ['keep'] });
    const ids = await things(
      e.db,
      Array.from({ length: all }, (_, i) => (40 + i) * DAY),
    );
    await e.db.sql(`update things set note = 'keep' where id = any($1::uuid[])`, [ids.slice(5, 5 + kept)]);
    await e.db.sql(keeping('delete'));
    await e.db.sql('create trigger keep before delete on things for each row execute function keep()');
    expect(await e.run(policy)).toMatchObject({
      outcome: 'succeeded',
      deleted: all - kept,
      kept: { dead_letter: kept },
    });
    expect((await receipted(e.db)).size).toBe(all - kept);
    const rows = await letters();
    expect(rows.map((l) => l.row_key)).toEqual(ids.slice(5, 5 + kept).sort());
    expect(new Set(rows.map((l) => l.sql_state))).toEqual(new Set(['LP007']));
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 0 });
  },
);

it('sets aside a row that a BEFORE UPDATE trigger keeps from being marked', async () => {
  const policy = await govern(e.db, {
    knownTriggers: ['keep'],
    strategy: { kind: 'soft-delete', column: 'gone', purgeAfter: { seconds: DAY } },
  });
  await e.db.sql('alter table things add column gone timestamptz');
  const [bad] = await things(e.db, [40 * DAY, 41 * DAY, 42 * DAY]);
  await e.db.sql(`update things set note = 'keep' where id = $1::uuid`, [bad]);
  await e.db.sql(keeping('update'));
  await e.db.sql('create trigger keep before update on things for each row execute function keep()');
  expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 2 });
  expect(await letters()).toEqual([{ row_key: bad, sql_state: 'LP007', constraint_name: null }]);
});

it("sets aside a row whose child a dependant's trigger keeps: it would refer to nothing", async () => {
  await govern(e.db);
  const [bad] = await things(e.db, [40 * DAY, 41 * DAY]);
  await e.db.sql(
    'create table notes (id int primary key, thing uuid references things on delete cascade, note text)',
  );
  await e.db.sql('create index on notes (thing); grant select, delete on notes to lapse_app');
  await e.db.sql(
    `insert into notes select row_number() over (), id, case when id = $1::uuid then 'keep' end from things`,
    [bad],
  );
  await e.db.sql(keeping('delete'));
  await e.db.sql('create trigger keep before delete on notes for each row execute function keep()');
  const policy = thingsPolicy({
    dependants: [
      {
        table: { name: 'notes' },
        key: [{ column: 'id', type: 'integer' }],
        references: ['thing'],
        fate: 'delete',
        knownTriggers: ['keep'],
      },
    ],
  });
  expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 1, dependantsDeleted: 1 });
  expect(await letters()).toEqual([{ row_key: bad, sql_state: 'LP007', constraint_name: null }]);
  expect([await left(e.db), await left(e.db, 'notes')]).toEqual([1, 1]);
});

it('sets aside a row of a key of several columns', async () => {
  await e.db.sql('create table pairs (a int, b text, at timestamptz, note text, primary key (a, b))');
  await e.db.sql('create index on pairs (at, a, b); grant select, update, delete on pairs to lapse_app');
  await e.db.sql(
    `insert into pairs select i, 'x"' || i, $1, case when i = 3 then 'keep' end from generate_series(1, 5) i`,
    [ago(40 * DAY)],
  );
  await e.db.sql(keeping('delete'));
  await e.db.sql('create trigger keep before delete on pairs for each row execute function keep()');
  const { scope: _, ...base } = thingsPolicy();
  const policy = definePolicy({
    ...base,
    table: { name: 'pairs' },
    key: [
      { column: 'a', type: 'integer' },
      { column: 'b', type: 'text', personal: false },
    ],
    knownTriggers: ['keep'],
  });
  expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 4 });
  expect(await letters()).toEqual([{ row_key: '["3", "x\\"3"]', sql_state: 'LP007', constraint_name: null }]);
});

it('deletes no child of a row that a trigger keeps, also when the batch has no other row', async () => {
  await govern(e.db);
  const [bad] = await things(e.db, [40 * DAY]);
  await e.db.sql('create table notes (id int primary key, thing uuid references things)');
  await e.db.sql('create index on notes (thing); grant select, delete on notes to lapse_app');
  await e.db.sql(`update things set note = 'keep'; insert into notes select 1, id from things`);
  await e.db.sql(keeping('delete'));
  await e.db.sql('create trigger keep before delete on things for each row execute function keep()');
  const notes = {
    table: { name: 'notes' },
    key: [{ column: 'id', type: 'integer' }],
    references: ['thing'],
    fate: 'delete' as const,
  };
  const policy = thingsPolicy({ knownTriggers: ['keep'], dependants: [notes] });
  expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 0, kept: { dead_letter: 1 } });
  expect(await letters()).toEqual([{ row_key: bad, sql_state: 'LP007', constraint_name: null }]);
  expect([await left(e.db), await left(e.db, 'notes')]).toEqual([1, 1]);
  expect(await e.db.sql('select 1 from retention.receipt')).toEqual([]);
});
