import { afterEach, describe, expect, it } from 'vitest';
import { definePolicy, type Policy, type PolicyInput } from '@/lib/policies/contract';
import { appRole } from '../../support/app-login';
import { ago, DAY, databaseClock, type Engine, engine, left, NOW, thingsPolicy } from '../../support/engine';

let e: Engine;
afterEach(() => e?.stop());

const policy = (input: Partial<PolicyInput>): Policy => {
  const { scope: _, ...base } = thingsPolicy();
  return definePolicy({ ...base, ...input });
};

describe('any table', () => {
  it('governs names with quotes, spaces and capitals, and a key of several columns', async () => {
    e = await engine();
    await e.db.sql('create schema "My ""App"""');
    await e.db.sql(`create table "My ""App"""."Quiz; drop" (
      "Tenant Id" int, "No" text, "Done At" timestamptz, primary key ("Tenant Id", "No"))`);
    await e.db.sql(`create index on "My ""App"""."Quiz; drop" ("Done At", "Tenant Id", "No")`);
    await e.db.sql('grant usage on schema "My ""App""" to lapse_app');
    await e.db.sql('grant select, update, delete on "My ""App"""."Quiz; drop" to lapse_app');
    await e.db.sql(
      `insert into "My ""App"""."Quiz; drop" select i % 3, 'n"' || i, $1::timestamptz from generate_series(1, 20) i`,
      [ago(40 * DAY)],
    );
    await e.db.sql(`insert into "My ""App"""."Quiz; drop" values (1, 'fresh', $1)`, [ago(DAY)]);
    const result = await e.run(
      policy({
        table: { schema: 'My "App"', name: 'Quiz; drop' },
        key: [
          { column: 'Tenant Id', type: 'integer' },
          { column: 'No', type: 'text', personal: false },
        ],
        clock: { column: 'Done At', type: 'timestamptz' },
      }),
      { batchSize: 3 },
    );
    expect(result).toMatchObject({ outcome: 'succeeded', deleted: 20, batches: 7 });
    expect(await left(e.db, '"My ""App"""."Quiz; drop"')).toBe(1);
    const keys = await e.db.sql('select distinct keys[1] as k from retention.receipt');
    expect(JSON.parse(String(keys[0]?.k))).toHaveLength(2);
  });

  it.each([
    ['bigint', 'generate_series(1, 7)::bigint'],
    ['text', `'k' || generate_series(1, 7)`],
    ['numeric(10,3)', 'generate_series(1, 7) + 0.125'],
    ['timestamptz', `timestamptz '2020-01-01' + generate_series(1, 7) * interval '1 microsecond'`],
  ])('governs a key of type %s, two rows at a time', async (type, series) => {
    e = await engine();
    await e.db.sql(`create table k (id ${type} primary key, at timestamptz)`);
    await e.db.sql('create index on k (at, id)');
    await e.db.sql('grant select, update, delete on k to lapse_app');
    await e.db.sql(`insert into k select ${series}, $1::timestamptz`, [ago(40 * DAY)]);
    const result = await e.run(
      policy({ table: { name: 'k' }, key: [{ column: 'id', type, personal: false }] }),
      {
        batchSize: 2,
      },
    );
    expect(result).toMatchObject({ outcome: 'succeeded', deleted: 7, batches: 4, picked: 7 });
  });

  it('loses no microsecond in its cursor', async () => {
    e = await engine();
    await e.db.sql('create table m (id int primary key, at timestamptz)');
    await e.db.sql('create index on m (at, id)');
    await e.db.sql('grant select, update, delete on m to lapse_app');
    await e.db.sql(
      `insert into m select i, $1::timestamptz + i * interval '1 microsecond' from generate_series(1, 100) i`,
      [ago(40 * DAY)],
    );
    const result = await e.run(policy({ table: { name: 'm' }, key: [{ column: 'id', type: 'integer' }] }), {
      batchSize: 7,
    });
    expect(result).toMatchObject({ deleted: 100, picked: 100 });
  });

  it.each(['America/New_York', 'Asia/Kolkata', 'UTC'])(
    'reads a timestamp without zone as written in %s, whatever the session says',
    async (zone) => {
      e = await engine();
      await e.db.sql('create table z (id int primary key, at timestamp)');
      await e.db.sql('create index on z (at, id)');
      await e.db.sql('grant select, update, delete on z to lapse_app');
      await e.db.sql(
        `alter role ${appRole(e.db)} in database "${e.db.name}" set timezone = 'Pacific/Auckland'`,
      );
      await e.db.sql(`alter role ${appRole(e.db)} in database "${e.db.name}" set datestyle = 'German'`);
      await e.db.sql(
        `insert into z values (1, ($1::timestamptz at time zone $2) - interval '1 second'), (2, $1::timestamptz at time zone $2)`,
        [ago(30 * DAY), zone],
      );
      const result = await e.run(
        policy({
          table: { name: 'z' },
          key: [{ column: 'id', type: 'integer' }],
          clock: { column: 'at', type: 'timestamp', zone },
        }),
      );
      expect(result).toMatchObject({ outcome: 'succeeded', deleted: 1 });
      expect(await e.db.sql('select id from z')).toEqual([{ id: 2 }]);
    },
  );

  it('lets a date expire only when its whole day is past', async () => {
    e = await engine({ now: new Date('2026-03-31T10:00:00Z') });
    await e.db.sql('create table d (id int primary key, at date)');
    await e.db.sql('create index on d (at, id)');
    await e.db.sql('grant select, update, delete on d to lapse_app');
    await e.db.sql(
      `insert into d values (1, '2026-02-28'), (2, '2026-03-01'), (3, '2026-03-02'), (4, 'infinity')`,
    );
    const result = await e.run(
      policy({
        table: { name: 'd' },
        key: [{ column: 'id', type: 'integer' }],
        clock: { column: 'at', type: 'date', zone: 'UTC' },
      }),
    );
    expect(result).toMatchObject({ deleted: 1 });
    expect(await e.db.sql('select id from d order by id')).toEqual([{ id: 2 }, { id: 3 }, { id: 4 }]);
  });

  it('counts thirty days as thirty times 24 hours across a change to summer time', async () => {
    const now = new Date('2026-04-10T00:30:00Z');
    e = await engine({ now });
    await e.db.sql('create table s (id int primary key, at timestamptz)');
    await e.db.sql('create index on s (at, id)');
    await e.db.sql('grant select, update, delete on s to lapse_app');
    await e.db.sql(`alter role ${appRole(e.db)} in database "${e.db.name}" set timezone = 'Europe/Berlin'`);
    await e.db.sql(`insert into s values (1, $1::timestamptz - interval '1 second'), (2, $1::timestamptz)`, [
      ago(30 * DAY, now),
    ]);
    await e.run(policy({ table: { name: 's' }, key: [{ column: 'id', type: 'integer' }] }));
    expect(await e.db.sql('select id from s')).toEqual([{ id: 2 }]);
  });
});

describe('soft delete', () => {
  it('marks the row with the database’s clock, once, and leaves it in place', async () => {
    e = await engine();
    await databaseClock(e.db, NOW);
    await e.db.sql('create table docs (id int primary key, at timestamptz, deleted_at timestamptz)');
    await e.db.sql('create index on docs (at, id)');
    await e.db.sql('grant select, update, delete on docs to lapse_app');
    await e.db.sql(`insert into docs values (1, $1), (2, $1), (3, $2)`, [ago(40 * DAY), ago(DAY)]);
    const soft = policy({
      table: { name: 'docs' },
      key: [{ column: 'id', type: 'integer' }],
      strategy: { kind: 'soft-delete', column: 'deleted_at', purgeAfter: { seconds: 30 * DAY } },
    });
    expect(await e.run(soft)).toMatchObject({ outcome: 'succeeded', deleted: 2 });
    expect(await e.run(soft)).toMatchObject({ outcome: 'succeeded', deleted: 0, picked: 0 });
    expect(await e.db.sql('select id, deleted_at from docs order by id')).toEqual([
      { id: 1, deleted_at: NOW },
      { id: 2, deleted_at: NOW },
      { id: 3, deleted_at: null },
    ]);
    expect(await e.db.sql('select distinct action from retention.receipt')).toEqual([
      { action: 'soft_delete' },
    ]);
  });
});

it("names keys in one form, whatever the database's own settings for text are", async () => {
  e = await engine();
  for (const setting of [
    `bytea_output = 'escape'`,
    `intervalstyle = 'iso_8601'`,
    'extra_float_digits = -10',
    `datestyle = 'SQL, DMY'`,
    `timezone = 'Asia/Tokyo'`,
  ]) {
    await e.db.sql(`alter database ${e.db.name} set ${setting}`);
  }
  await e.db.sql(
    'create table f (a bytea, b interval, c float8, d date, e timestamptz, at timestamptz, primary key (a, b, c, d, e))',
  );
  await e.db.sql('create index on f (at, a, b, c, d, e); grant select, update, delete on f to lapse_app');
  await e.db.sql(
    `insert into f values ('\\x00ff', '1 day 02:00', 0.1::float8 + 0.2, '2026-01-31', '2026-01-31 23:30+00', $1)`,
    [ago(40 * DAY)],
  );
  const key = [
    { column: 'a', type: 'bytea' },
    { column: 'b', type: 'interval' },
    { column: 'c', type: 'double precision' },
    { column: 'd', type: 'date' },
    { column: 'e', type: 'timestamptz' },
  ];
  expect(await e.run(policy({ table: { name: 'f' }, key }))).toMatchObject({
    outcome: 'succeeded',
    deleted: 1,
  });
  expect(await e.db.sql('select keys from retention.receipt')).toEqual([
    {
      keys: [
        '["\\\\x00ff", "1 day 02:00:00", "0.30000000000000004", "2026-01-31", "2026-01-31 23:30:00+00"]',
      ],
    },
  ]);
});
