/** Rows that stay for the sake of their group, where the group lies in several partitions. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PolicyInput } from '@/lib/policies/contract';
import { type Engine, engine, fitsDatabase, NOW, thingsPolicy } from '../../support/engine';
import { follow, named } from '../../support/preflight';

let e: Engine;
beforeEach(async () => {
  e = await engine();
});
afterEach(() => e.stop());

const WAYS = {
  'by hash of the key': [
    'by hash (id)',
    ...[0, 1, 2].map(
      (n) => `create table part_${n} partition of things for values with (modulus 3, remainder ${n})`,
    ),
  ],
  'by range of the clock': [
    'by range (at)',
    `create table old partition of things for values from (minvalue) to ('2025-11-01Z')`,
    `create table mid partition of things for values from ('2025-11-01Z') to ('2026-01-01Z') partition by hash (id)`,
    ...[0, 1].map(
      (n) => `create table mid_${n} partition of mid for values with (modulus 2, remainder ${n})`,
    ),
    'create table rest partition of things default',
  ],
} as const;

async function made(way: keyof typeof WAYS, changes: Partial<PolicyInput>) {
  const [by, ...parts] = WAYS[way];
  await e.db.sql(
    `create table things (id int not null, doc int not null, at timestamptz not null, primary key (id, at)) partition ${by}`,
  );
  for (const part of parts) await e.db.sql(part);
  const policy = thingsPolicy({
    key: [
      { column: 'id', type: 'integer' },
      { column: 'at', type: 'timestamptz' },
    ],
    scope: {},
    partitioned: { by: 'other' },
    ...changes,
  });
  expect(await follow(e, policy)).toEqual([]);
  await e.db.sql(
    `insert into things select i, i % 5, $1::timestamptz - make_interval(days => (i * 37) % 230, hours => i) from generate_series(1, 300) i`,
    [NOW.toISOString()],
  );
  return policy;
}

const ids = async (where: string) =>
  (await e.db.sql(`select id from things t where ${where} order by id`)).map((r) => Number(r.id));
const PAST = `at < '${NOW.toISOString()}'::timestamptz - interval '30 days'`;

describe.each(Object.keys(WAYS) as (keyof typeof WAYS)[])('of a table partitioned %s', (way) => {
  it.each<[string, Partial<PolicyInput>, string, number, string]>([
    [
      'the newest of each parent',
      { keepAtLeast: { newest: 13, per: ['doc'] } },
      'select id, row_number() over (partition by doc order by at desc, id desc) as n from things',
      13,
      'newest',
    ],
    [
      'one row of each week',
      { thin: { tiers: [{ keepOne: 'week', until: { seconds: null } }] } },
      `select id, row_number() over (partition by date_trunc('week', at at time zone 'UTC') order by at desc, id desc) as n from things`,
      1,
      'one_of_period',
    ],
  ] as const)(
    '%s stay, wherever they lie, and no other row that is past its period',
    async (_, changes, ranked, most, reason) => {
      const policy = await made(way, changes);
      const going = await ids(`${PAST} and id in (select id from (${ranked}) r where n > ${most})`);
      const spared = (await ids(PAST)).length - going.length;
      const staying = await ids(`id <> all ('{${going.join()}}')`);
      expect(going.length).toBeGreaterThan(50);
      expect(spared).toBeGreaterThan(20);
      const dry = await e.run(policy, { dryRun: true });
      expect(dry.preview).toMatchObject({ expired: going.length, kept: { [reason]: spared } });
      expect(await e.run(policy, { batchSize: 7 })).toMatchObject({
        outcome: 'succeeded',
        deleted: going.length,
        kept: { [reason]: spared },
      });
      expect(await ids('true')).toEqual(staying);
      expect(await named(e)).toHaveLength(going.length);
      expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 0 });
    },
  );
});

it('one of the newest that others hold in another partition is not counted on', async () => {
  const policy = await made('by hash of the key', { keepAtLeast: { newest: 2, per: ['doc'] } });
  await e.db.sql('delete from things where doc <> 1');
  const [newest] = await e.db.sql('select id from things order by at desc, id desc limit 1');
  const session = await e.db.session();
  await session.sql('begin');
  await session.sql('delete from things where id = $1', [newest!.id]);
  // Its row is about to go: with it two would be left at most by luck.
  await e.run(policy, { batchSize: 50 });
  await session.sql('commit');
  await session.end();
  expect((await ids('true')).length).toBeGreaterThanOrEqual(2);
});

it('a group that may lie in more partitions than a batch can lock is refused', async () => {
  await e.db.sql(`create table things (id int not null, doc int not null, at timestamptz not null, primary key (id, at)) partition by hash (id);
    create index on things (doc, at, id); create index on things (at, id)`);
  await e.db.sql(`do $$ begin for i in 0..499 loop
    execute format('create table part_%s partition of things for values with (modulus 500, remainder %s)', i, i); end loop; end $$`);
  const policy = thingsPolicy({
    key: [
      { column: 'id', type: 'integer' },
      { column: 'at', type: 'timestamptz' },
    ],
    scope: {},
    partitioned: { by: 'other' },
    keepAtLeast: { newest: 2, per: ['doc'] },
  });
  await follow(e, policy);
  expect(await fitsDatabase(e, policy)).toMatchObject([
    {
      problem: expect.stringContaining(
        'lies in 500 partitions: each batch would look of its group in all of them',
      ),
      remedy: 'put its rows into fewer partitions, at most 374',
    },
  ]);
  expect(await e.run(policy)).toMatchObject({ outcome: 'errored', reason: 'preflight', deleted: 0 });
});
