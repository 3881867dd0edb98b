/** Partitions that rows of other tables refer to, and foreign keys that stand on a single partition. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PolicyInput } from '@/lib/policies/contract';
import { ago, DAY, type Engine, engine, thingsPolicy } from '../../support/engine';
import { follow, named, refused } from '../../support/preflight';

let e: Engine;
beforeEach(async () => {
  e = await engine();
});
afterEach(() => e.stop());

const count = async (from: string) =>
  Number((await e.db.sql(`select count(*)::int as n from ${from}`))[0]?.n);
const receipts = () =>
  e.db.sql(`select action, deleted::int as deleted, dependants_deleted::int as along, partition ->> 'name' as partition
    from retention.receipt where deleted + dependants_deleted > 0 or partition is not null order by id`);

/**
 * timescale/timescaledb#8013: a table refers by a foreign key to a hypertable, and its chunks can then not be dropped: the drop is
 * refused, or its check by hand leaves what referred to it behind.
 */
describe('timescaledb#8013: a partition that rows of another table refer to', () => {
  const KEY = [
    { column: 'id', type: 'integer' },
    { column: 'at', type: 'timestamptz' },
  ];
  const policyOf = (changes: Partial<PolicyInput> = {}) =>
    thingsPolicy({
      name: 'readings',
      table: { name: 'readings' },
      key: KEY,
      scope: {},
      partitioned: { by: 'month' },
      ...changes,
    });
  const alerts = (fate: 'delete' | 'block' | 'keep') => ({
    dependants: [
      {
        table: { name: 'alerts' },
        key: [{ column: 'id', type: 'integer' }],
        references: ['reading', 'reading_at'],
        fate,
      },
    ],
  });

  /** Ten readings in each of three months; an alert of every fifth. */
  async function made(onDelete: string): Promise<void> {
    await e.db.sql(
      'create table readings (id int not null, at timestamptz not null, primary key (id, at)) partition by range (at)',
    );
    for (const [name, from, to] of [
      ['oct', '2025-10-01Z', '2025-11-01Z'],
      ['nov', '2025-11-01Z', '2025-12-01Z'],
      ['feb', '2026-02-01Z', '2026-03-01Z'],
    ])
      await e.db.sql(
        `create table readings_${name} partition of readings for values from ('${from}') to ('${to}')`,
      );
    await e.db.sql(`create table alerts (id int primary key, reading int, reading_at timestamptz,
        foreign key (reading, reading_at) references readings (id, at) on delete ${onDelete});
      insert into readings select i, m + i * interval '1 day' from generate_series(1, 10) i, (values ('2025-10-02Z'::timestamptz), ('2025-11-02Z'), ('2026-02-10Z')) v(m);
      insert into alerts select row_number() over (), id, at from readings where id % 5 = 0;`);
  }

  it('cannot be dropped by hand: what refers to its rows keeps it there', async () => {
    await made('cascade');
    await expect(e.db.sql('drop table readings_oct')).rejects.toThrow(/depend|violates/);
    await expect(e.db.sql('alter table readings detach partition readings_oct')).rejects.toThrow(
      /violates foreign key constraint|depend/,
    );
  });

  it('is refused until what refers to it is declared, and its rows then go with what refers to them', async () => {
    await made('cascade');
    expect(await refused(e, policyOf())).toContain(
      'public.alerts (reading, reading_at) references the table and is not declared: its rows would go with the row',
    );
    expect(await follow(e, policyOf(alerts('delete')))).toEqual([]);
    const dry = await e.run(policyOf(alerts('delete')), { dryRun: true });
    expect(dry.preview).toMatchObject({ expired: 20, dependants: { 'public.alerts': 4 }, partitions: [] });
    expect(await e.run(policyOf(alerts('delete')))).toMatchObject({ outcome: 'succeeded', deleted: 20 });
    expect(await receipts()).toEqual([
      { action: 'delete', deleted: 10, along: 2, partition: null },
      { action: 'delete', deleted: 10, along: 2, partition: null },
    ]);
    expect([await count('readings'), await count('alerts')]).toEqual([10, 2]);
    // No alert is left that refers to nothing.
    expect(
      await count(
        'alerts a where not exists (select 1 from readings r where r.id = a.reading and r.at = a.reading_at)',
      ),
    ).toBe(0);
    expect(await named(e)).toHaveLength(24);
  });

  it('keeps the rows that are referred to, where that keeps them, and loses the others', async () => {
    await made('restrict');
    expect(await follow(e, policyOf(alerts('block')))).toEqual([]);
    expect(await e.run(policyOf(alerts('block')))).toMatchObject({
      outcome: 'succeeded',
      deleted: 16,
      kept: { referenced: 4 },
    });
    expect([await count('readings'), await count('alerts')]).toEqual([14, 6]);
  });

  it('lets go of what stays without its reference', async () => {
    await made('set null');
    expect(await follow(e, policyOf(alerts('keep')))).toEqual([]);
    expect(await e.run(policyOf(alerts('keep')))).toMatchObject({ outcome: 'succeeded', deleted: 20 });
    expect([await count('alerts'), await count('alerts where reading is null')]).toEqual([6, 4]);
  });
});

describe('a foreign key that stands on one partition', () => {
  const KEY = [
    { column: 'id', type: 'integer' },
    { column: 'region', type: 'text', personal: false as const },
  ];
  const policyOf = (changes: Partial<PolicyInput> = {}) =>
    thingsPolicy({ key: KEY, scope: {}, partitioned: { by: 'other' }, ...changes });
  const things = () =>
    e.db.sql(`create table things (id int not null, region text not null, at timestamptz, primary key (id, region)) partition by list (region);
      create table eu partition of things for values in ('eu'); create table us partition of things for values in ('us');
      insert into things select i, case when i % 2 = 0 then 'eu' else 'us' end, case when i > 8 then '${ago(DAY)}' else '${ago(40 * DAY)}' end::timestamptz from generate_series(1, 10) i`);
  const notes = (fate: 'delete' | 'block', more: object = {}) => ({
    dependants: [
      {
        table: { name: 'notes' },
        key: [{ column: 'id', type: 'integer' }],
        references: ['thing', 'region'],
        fate,
        ...more,
      },
    ],
  });

  it('and points from another table at it, is declared as one at the table, and goes along', async () => {
    await things();
    await e.db.sql(`create table notes (id int primary key, thing int, region text, foreign key (thing, region) references eu (id, region) on delete cascade);
      insert into notes select i, i, 'eu' from generate_series(2, 10, 2) i`);
    expect(await refused(e, policyOf())).toContain(
      'public.notes (thing, region) references the table and is not declared',
    );
    expect(await follow(e, policyOf(notes('delete')))).toEqual([]);
    const dry = await e.run(policyOf(notes('delete')), { dryRun: true });
    expect(dry.preview).toMatchObject({ expired: 8, dependants: { 'public.notes': 4 } });
    expect(await e.run(policyOf(notes('delete')), { batchSize: 3 })).toMatchObject({
      outcome: 'succeeded',
      deleted: 8,
      dependantsDeleted: 4,
    });
    expect([await count('things'), await count('notes')]).toEqual([2, 1]);
    expect(await named(e)).toHaveLength(12);
  });

  it('and points from another table at it, keeps its rows where it only refuses', async () => {
    await things();
    await e.db.sql(`create table notes (id int primary key, thing int, region text, foreign key (thing, region) references eu (id, region));
      insert into notes values (1, 2, 'eu'), (2, 10, 'eu')`);
    expect(await follow(e, policyOf(notes('block')))).toEqual([]);
    expect(await e.run(policyOf(notes('block')))).toMatchObject({
      outcome: 'succeeded',
      deleted: 7,
      kept: { referenced: 1 },
    });
  });

  it('of a dependant in partitions, leaves the others open to what is written meanwhile: refused until each has one', async () => {
    await e.db.sql(`create table things (id int primary key, at timestamptz);
      create table notes (id int not null, region text not null, thing int, primary key (id, region)) partition by list (region);
      create table notes_eu partition of notes for values in ('eu'); create table notes_us partition of notes for values in ('us');
      alter table notes_eu add foreign key (thing) references things on delete cascade;
      insert into things select i, '${ago(40 * DAY)}' from generate_series(1, 6) i;
      insert into notes select i, case when i % 2 = 0 then 'eu' else 'us' end, i from generate_series(1, 6) i`);
    const policy = thingsPolicy({
      key: [{ column: 'id', type: 'integer' }],
      scope: {},
      dependants: [{ table: { name: 'notes' }, key: KEY, references: ['thing'], fate: 'delete' }],
    });
    expect(await refused(e, policy)).toContain(
      'public.notes_us goes with public.things and no foreign key says so: a row written meanwhile would stay behind',
    );
    expect(await follow(e, policy)).toEqual([]);
    expect(await e.run(policy, { batchSize: 2 })).toMatchObject({
      outcome: 'succeeded',
      deleted: 6,
      dependantsDeleted: 6,
    });
    expect([await count('things'), await count('notes')]).toEqual([0, 0]);
    expect((await named(e)).filter((k) => k.startsWith('public.notes '))).toHaveLength(6);
  });

  it('of the governed table itself at another one changes nothing of what goes', async () => {
    await things();
    await e.db.sql(`create table owners (id int primary key); insert into owners select generate_series(1, 10);
      alter table things add owner int; update things set owner = id; alter table eu add foreign key (owner) references owners`);
    expect(await follow(e, policyOf())).toEqual([]);
    expect(await e.run(policyOf())).toMatchObject({ outcome: 'succeeded', deleted: 8 });
    expect(await count('owners')).toBe(10);
  });

  it('between partitions of the table itself keeps a row until what refers to it has gone', async () => {
    await things();
    await e.db.sql(`alter table things add parent int, add parent_region text;
      alter table us add foreign key (parent, parent_region) references eu (id, region);
      update things set parent = id + 1, parent_region = 'eu' where region = 'us' and id < 8`);
    const own = policyOf({
      dependants: [
        { table: { name: 'things' }, key: KEY, references: ['parent', 'parent_region'], fate: 'block' },
      ],
    });
    expect(await refused(e, policyOf())).toContain(
      'public.things (parent, parent_region) references the table and is not declared',
    );
    expect(await follow(e, own)).toEqual([]);
    // A row of us goes first, then the one of eu that it referred to; what a young one refers to stays.
    await e.db.sql(`update things set parent = 4, parent_region = 'eu' where id = 9`);
    const result = await e.run(own);
    expect(result).toMatchObject({ outcome: 'succeeded', deleted: 7 });
    expect((await e.db.sql('select id from things order by id')).map((r) => r.id)).toEqual([4, 9, 10]);
  });
});
