/** Tables partitioned in any other way than by range of the clock: their rows go one by one, partition after partition. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runPolicy } from '@/lib/engine/run/run';
import type { Database, Statement } from '@/lib/platform/database';
import { DatabaseError } from '@/lib/platform/errors';
import { days, type Policy, type PolicyInput } from '@/lib/policies/contract';
import {
  ago,
  DAY,
  type Engine,
  engine,
  fitsDatabase,
  NOW,
  runRequest,
  thingsPolicy,
} from '../../support/engine';
import { follow, named, refused } from '../../support/preflight';

let e: Engine;
beforeEach(async () => {
  e = await engine();
});
afterEach(() => e.stop());

const KEY = [
  { column: 'id', type: 'integer' },
  { column: 'region', type: 'text', personal: false as const },
];
const policyOf = (changes: Partial<PolicyInput> = {}): Policy =>
  thingsPolicy({ key: KEY, scope: {}, partitioned: { by: 'other' }, ...changes });

/** Each with the statements that make its partitions; all have (id, region, at, note) and the key (id, region). */
const SHAPES = {
  'by list': [
    'partition by list (region)',
    `create table eu partition of things for values in ('eu')`,
    `create table other partition of things default`,
  ],
  'by hash': [
    'partition by hash (id)',
    ...[0, 1, 2].map(
      (n) => `create table h${n} partition of things for values with (modulus 3, remainder ${n})`,
    ),
  ],
  'by range of another column': [
    'partition by range (id)',
    'create table low partition of things for values from (minvalue) to (20)',
    'create table high partition of things for values from (20) to (maxvalue)',
  ],
  'nested, with columns in another order': [
    'partition by list (region)',
    `create table eu (note text, at timestamptz, region text not null, gone int, id int not null) partition by range (id)`,
    'alter table eu drop column gone',
    `alter table things attach partition eu for values in ('eu')`,
    'create table eu_low partition of eu for values from (minvalue) to (20)',
    'create table eu_high (region text not null, id int not null, note text, at timestamptz)',
    'alter table eu attach partition eu_high for values from (20) to (maxvalue)',
    `create schema far; create table far.things partition of things default`,
  ],
} as const;

async function made(shape: keyof typeof SHAPES, changes: Partial<PolicyInput> = {}): Promise<Policy> {
  const [by, ...rest] = SHAPES[shape];
  await e.db.sql(
    `create table things (id int not null, region text not null, at timestamptz, note text, primary key (id, region)) ${by}`,
  );
  for (const statement of rest) await e.db.sql(statement);
  const policy = policyOf(changes);
  expect(await follow(e, policy)).toEqual([]);
  return policy;
}

/** 40 rows in two regions, every fourth young, every seventh without a clock. */
const fill = (db = e.db) =>
  db.sql(
    `insert into things (id, region, at, note) select i, case when i % 2 = 0 then 'eu' else 'us' end,
    case when i % 7 = 0 then null when i % 4 = 0 then $1::timestamptz else $2::timestamptz - i * interval '1 minute' end,
    case when i % 3 = 0 then 'keep' end from generate_series(1, 40) i`,
    [ago(DAY), ago(31 * DAY)],
  );
const keys = async (where: string) =>
  (
    await e.db.sql(
      `select jsonb_build_array(id::text, region)::text as k from things where ${where} order by id`,
    )
  ).map((r) => String(r.k));
const EXPIRED = `at < '${ago(30 * DAY)}'`;

describe.each(Object.keys(SHAPES) as (keyof typeof SHAPES)[])('a table partitioned %s', (shape) => {
  it('loses what is expired in every partition and nothing else, named by the table', async () => {
    const policy = await made(shape);
    await fill();
    const [expired, stays] = [await keys(EXPIRED), await keys(`(${EXPIRED}) is not true`)];
    const [held] = expired;
    await e.db.sql(
      `insert into retention.hold (scope, subject, table_name, reason, placed_by) values ('item', $1, 'public.things', 'matter', 'alice')`,
      [held],
    );
    const going = expired.slice(1);
    const dry = await e.run(policy, { dryRun: true });
    expect(dry.preview).toMatchObject({
      expired: going.length,
      kept: { held: 1 },
      complete: true,
      blockers: [],
      partitions: [],
    });
    expect(await e.run(policy, { batchSize: 3 })).toMatchObject({
      outcome: 'succeeded',
      deleted: going.length,
      kept: { held: 1 },
    });
    expect(await named(e)).toEqual(going.map((k) => `public.things ${k}`).sort());
    expect(await keys('true')).toEqual(
      [held, ...stays].sort((a, b) => Number(JSON.parse(a!)[0]) - Number(JSON.parse(b!)[0])),
    );
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 0 });
  });

  it('is told by what else decides: a condition, rules, and a mark instead of a deletion', async () => {
    const policy = await made(shape, {
      where: `t.note is null`,
      rules: [{ label: 'eu', keepFor: days(30), match: { region: 'eu' } }],
    });
    await fill();
    const going = await keys(`${EXPIRED} and note is null and region = 'eu'`);
    expect(await e.run(policy, { batchSize: 2 })).toMatchObject({
      outcome: 'succeeded',
      deleted: going.length,
    });
    expect(await named(e)).toEqual(going.map((k) => `public.things ${k}`).sort());
    await e.db.sql('alter table things add deleted_at timestamptz');
    const marking = policyOf({
      strategy: { kind: 'soft-delete', column: 'deleted_at', purgeAfter: days(30) },
    });
    await follow(e, marking);
    const marked = await keys(EXPIRED);
    expect(await e.run(marking)).toMatchObject({ outcome: 'succeeded', deleted: marked.length });
    expect(await keys('deleted_at is not null')).toEqual(marked);
  });
});

/** The same engine with something done by the owner just before the n-th batch. */
function beforeBatch(n: number, act: () => Promise<unknown>) {
  const inner = e.services.database;
  let batches = 0;
  const database: Database = {
    async transaction(statements, options) {
      if (statements.some((s: Statement) => s.text.includes('enter_batch(')) && ++batches === n) await act();
      return inner.transaction(statements, options);
    },
  };
  return (policy: Policy) =>
    runPolicy({ ...e.services, database }, policy, runRequest(NOW, { batchSize: 3 }));
}

it('a run deletes although the database could not say in time how many rows are due, and not after any other failure', async () => {
  const policy = await made('by list');
  await e.db.sql(`insert into things select i, 'eu', $1 from generate_series(1, 4) i`, [ago(40 * DAY)]);
  const inner = e.services.database;
  let [asked, failure]: [number, 'fatal' | 'timeout'] = [0, 'fatal'];
  const database: Database = {
    transaction(statements, options) {
      if (!statements.some((s: Statement) => s.text.includes('lapse.due')))
        return inner.transaction(statements, options);
      asked += 1;
      return Promise.reject(new DatabaseError(failure, 'XX000', 'PostgreSQL XX000'));
    },
  };
  const run = () => runPolicy({ ...e.services, database }, policy, runRequest(NOW));
  expect(await run()).toMatchObject({ outcome: 'errored', deleted: 0 });
  failure = 'timeout';
  expect(await run()).toMatchObject({ outcome: 'succeeded', deleted: 4 });
  expect(asked).toBe(2);
});

describe('while a run lasts', () => {
  it('a partition that was detached keeps the rows it still has', async () => {
    const policy = await made('by list');
    await fill();
    const us = await keys(`${EXPIRED} and region <> 'eu'`);
    // The second batch is within partition eu.
    const run = beforeBatch(2, () => e.db.sql('alter table things detach partition eu'));
    expect(await run(policy)).toMatchObject({ outcome: 'succeeded', deleted: us.length + 3 });
    expect(await keys('true')).toEqual(await keys(`(${EXPIRED}) is not true`));
    expect(await e.db.sql(`select count(*)::int as n from eu where ${EXPIRED}`)).not.toEqual([{ n: 0 }]);
  });

  it('a partition that was dropped is passed by', async () => {
    const policy = await made('by list');
    await fill();
    const us = await keys(`${EXPIRED} and region <> 'eu'`);
    const run = beforeBatch(2, () => e.db.sql('drop table eu'));
    expect(await run(policy)).toMatchObject({ outcome: 'succeeded', deleted: us.length + 3 });
  });

  it('a partition that was attached is walked before the run calls itself done', async () => {
    const policy = await made('by list');
    await fill();
    const expired = await keys(EXPIRED);
    const run = beforeBatch(4, () =>
      e.db.sql(`create table asia (like things including all); insert into asia values (99, 'asia', '${ago(40 * DAY)}');
        alter table things attach partition asia for values in ('asia'); select retention.open_partitions('public.things')`),
    );
    expect(await run(policy)).toMatchObject({ outcome: 'succeeded', deleted: expired.length + 1 });
    expect(await keys(EXPIRED)).toEqual([]);
  });
});

it('of organizations with tiers is walked organization by organization in each partition', async () => {
  await e.db.sql(`create table orgs (id int primary key, plan text); insert into orgs values (1, 'free'), (2, 'pro'); grant select on orgs to lapse_app;
    create trigger lapse_gate before insert or update or delete on orgs for each statement execute function retention.gate();
    create table things (id int not null, region text not null, at timestamptz, org int, primary key (id, region)) partition by hash (id)`);
  for (const n of [0, 1])
    await e.db.sql(`create table h${n} partition of things for values with (modulus 2, remainder ${n})`);
  const policy = policyOf({
    rules: [
      { label: 'free', keepFor: days(30) },
      { label: 'pro', keepFor: days(365) },
    ],
    tenants: {
      table: { name: 'orgs' },
      key: { column: 'id', type: 'integer' },
      column: 'org',
      label: 'o.plan',
    },
  });
  expect(await follow(e, policy)).toEqual([]);
  await e.db.sql(
    `insert into things select i, 'eu', $1::timestamptz, 1 + i % 2 from generate_series(1, 20) i`,
    [ago(40 * DAY)],
  );
  expect(await e.run(policy, { batchSize: 3 })).toMatchObject({ outcome: 'succeeded', deleted: 10 });
  expect(await keys('org = 1')).toEqual([]);
});

it('is refused with the line to write, as is one that says the wrong span', async () => {
  await e.db.sql(`create table things (id int not null, region text not null, at timestamptz, primary key (id, region)) partition by list (region);
    create table eu partition of things for values in ('eu')`);
  expect(await refused(e, policyOf({ partitioned: undefined }))).toContain(`{ by: 'other' }`);
  const key = [...KEY, { column: 'at', type: 'timestamptz' }];
  const spanned = await fitsDatabase(e, policyOf({ key, partitioned: { by: 'month' } }));
  expect(spanned.map((p) => p.remedy).join()).toContain(`partitioned: { by: 'other' }`);
});

it('three hundred partitions are asked in one request, and only those with something to give get a batch', async () => {
  await e.db.sql(
    `create table things (id int not null, region text not null, at timestamptz, note text, primary key (id, region)) partition by list (region)`,
  );
  await e.db.sql(`do $$ begin for i in 1..300 loop
    execute format('create table p%s partition of things for values in (%L)', i, i::text); end loop; end $$`);
  const policy = policyOf();
  expect(await follow(e, policy)).toEqual([]);
  await e.db.sql(
    `insert into things select i, (1 + i % 300)::text, case when i % 50 = 0 then $1::timestamptz else $2::timestamptz end from generate_series(1, 600) i`,
    [ago(40 * DAY), ago(DAY)],
  );
  const run = await e.run(policy);
  // Twelve rows in six partitions.
  expect(run).toMatchObject({ outcome: 'succeeded', deleted: 12, batches: 6 });
  expect(run.requests.postgres).toBeLessThan(6 * 2 + 6);
  const idle = await e.run(policy);
  expect(idle).toMatchObject({ outcome: 'succeeded', deleted: 0, batches: 0 });
  expect(idle.requests.postgres).toBe(1);
});
