/** Rows that stay whatever their age, for the sake of their group: the newest so many of a parent, and one of each period. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { explainRow } from '@/lib/operators/audit/explain-row';
import { days, forever, type Policy, type PolicyInput } from '@/lib/policies/contract';
import { policyReach } from '@/lib/policies/effective';
import { inWords } from '@/lib/policies/in-words';
import { ago, DAY, type Engine, engine, fitsDatabase, NOW, thingsPolicy } from '../../support/engine';
import { advisory, untilWaiting } from '../../support/waiting';

let e: Engine;
beforeEach(async () => {
  e = await engine({ env: { CLEANUP_LANES: '1' } });
  await e.db.sql(`create table versions (id int primary key generated always as identity, doc int not null, at timestamptz, org uuid, note text);
    create index on versions (at, id); create index on versions (doc, at, id);
    grant select, update, delete on versions to lapse_app; select retention.protect('public.versions')`);
});
afterEach(() => e.stop());

const versions = (changes: Partial<PolicyInput>): Policy =>
  thingsPolicy({
    name: 'versions',
    table: { name: 'versions' },
    key: [{ column: 'id', type: 'integer' }],
    scope: { organization: 'org' },
    ...changes,
  });
const newest = (n: number, changes: Partial<PolicyInput> = {}): Policy =>
  versions({ keepAtLeast: { newest: n, per: ['doc'] }, ...changes });
const write = (doc: number, ...agesInDays: readonly (number | null)[]) =>
  e.db.sql(
    `insert into versions (doc, at) select $1, $3::timestamptz - make_interval(secs => a * 86400) from unnest($2::float8[]) with ordinality x(a, n) order by n`,
    [doc, agesInDays as unknown[], NOW.toISOString()],
  );
const left = async (): Promise<Record<string, number[]>> =>
  Object.fromEntries(
    (
      await e.db.sql<{ doc: number; ids: number[] }>(
        'select doc, array_agg(id order by id) as ids from versions group by doc order by doc',
      )
    ).map((r) => [r.doc, r.ids]),
  );

describe('the newest of each parent', () => {
  it('stay whatever their age, and are counted as that', async () => {
    await write(1, 100, 90, 80, 70, 60);
    await write(2, 50, 40, 1);
    await write(3, 400);
    await write(4, 300, null, 200, 100);
    const policy = newest(2);
    Object.assign(e.services, { policies: [policy] });
    expect(await fitsDatabase(e, policy)).toEqual([]);
    const dry = await e.run(policy, { dryRun: true });
    expect(dry.preview).toMatchObject({ expired: 5, kept: { newest: 6 } });
    expect(await e.run(policy, { batchSize: 3 })).toMatchObject({
      outcome: 'succeeded',
      deleted: 5,
      kept: { newest: 6 },
    });
    // A row without a clock never goes, and stands for none.
    expect(await left()).toEqual({ 1: [4, 5], 2: [7, 8], 3: [9], 4: [11, 12, 13] });
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 0 });
    const why = await explainRow(e.services, 'public.versions', '4');
    expect(why.here[0]).toMatchObject({ status: 'newest' });
    expect(why.summary).toContain('the newest 2 rows of each doc stay whatever their age');
    expect(inWords(policy)).toEqual([
      'all: after 30 days; the newest 2 rows of each doc stay whatever their age',
    ]);
  });

  it('are told apart by the key where their clocks are equal', async () => {
    await write(1, 50, 50, 50, 50);
    await write(2, 60, 50, 50);
    expect(await e.run(newest(1), { batchSize: 2 })).toMatchObject({ deleted: 5 });
    expect(await left()).toEqual({ 1: [4], 2: [7] });
  });

  it('of a whole table are so many rows of it', async () => {
    await write(1, 50, 49);
    await write(2, 48, 47);
    const policy = versions({ keepAtLeast: { newest: 3 } });
    expect(await fitsDatabase(e, policy)).toEqual([]);
    expect(await e.run(policy)).toMatchObject({ deleted: 1, kept: { newest: 3 } });
  });

  it('keep what they hang on in their own table, and so on upwards', async () => {
    await e.db.sql(
      'alter table versions add parent int references versions; create index on versions (parent)',
    );
    await write(1, 50, 49, 48);
    await write(2, 47, 46);
    await e.db.sql('update versions set parent = id - 1 where id in (2, 3, 5)');
    await write(3, 45, 44);
    const policy = newest(1, {
      dependants: [
        {
          table: { name: 'versions' },
          key: [{ column: 'id', type: 'integer' }],
          references: ['parent'],
          fate: 'delete',
        },
      ],
    });
    expect(await fitsDatabase(e, policy)).toEqual([]);
    const dry = await e.run(policy, { dryRun: true });
    const run = await e.run(policy);
    expect(run).toMatchObject({ outcome: 'succeeded', deleted: 1, kept: { newest: 3, referenced: 3 } });
    expect(dry.preview).toMatchObject({ expired: 1, kept: run.kept });
    expect(await left()).toEqual({ 1: [1, 2, 3], 2: [4, 5], 3: [7] });
  });

  it('do not count those that are marked already', async () => {
    await e.db.sql('alter table versions add gone_at timestamptz; create index on versions (gone_at, id)');
    await write(1, 50, 49, 48, 47);
    await e.db.sql('update versions set gone_at = $1 where id = 4', [ago(DAY)]);
    const policy = newest(1, { strategy: { kind: 'soft-delete', column: 'gone_at', purgeAfter: days(9) } });
    expect(await e.run(policy)).toMatchObject({ deleted: 2, kept: { newest: 1 } });
    expect(await e.db.sql('select id from versions where gone_at is null')).toEqual([{ id: 3 }]);
  });

  it('of tenants stay under the tenant’s own rule, and what belongs to the others goes', async () => {
    await e.db.sql(`create table orgs (id uuid primary key, plan text); grant select on orgs to lapse_app;
      create trigger lapse_gate before insert or update or delete on orgs for each statement execute function retention.gate();
      create table pages (id int primary key generated always as identity, version int references versions on delete cascade);
      create index on pages (version); grant select, delete on pages to lapse_app;
      create index on versions (org, at, id); select retention.protect('public.pages');
      insert into orgs select ('00000000-0000-4000-8000-00000000000' || n)::uuid, p from (values (1, 'short'), (2, 'long')) x(n, p)`);
    await write(1, 50, 45, 40, 35);
    await write(2, 50, 45, 40, 35);
    await e.db.sql(`update versions set org = ('00000000-0000-4000-8000-00000000000' || doc)::uuid;
      insert into pages (version) select id from versions`);
    const policy = newest(2, {
      rules: [
        { label: 'short', keepFor: days(30) },
        { label: 'long', keepFor: days(42) },
      ],
      tenants: {
        table: { name: 'orgs' },
        key: { column: 'id', type: 'uuid' },
        column: 'org',
        label: 'o.plan',
      },
      dependants: [
        {
          table: { name: 'pages' },
          key: [{ column: 'id', type: 'integer' }],
          references: ['version'],
          fate: 'delete',
        },
      ],
    });
    expect(await fitsDatabase(e, policy)).toEqual([]);
    expect(await e.run(policy, { batchSize: 2 })).toMatchObject({
      deleted: 4,
      dependantsDeleted: 4,
      byRule: { short: { deleted: 2 }, long: { deleted: 2 } },
    });
    expect(await left()).toEqual({ 1: [3, 4], 2: [7, 8] });
  });

  it('do not stop an erasure, and a held one stays as well', async () => {
    await write(1, 50, 49, 48);
    await e.db.sql(
      `insert into retention.hold (scope, table_name, subject, reason, placed_by) values ('item', 'public.versions', '1', 'm', 'a')`,
    );
    expect(await e.run(newest(1))).toMatchObject({ deleted: 1, kept: { held: 1, newest: 1 } });
  });

  it('one that goes between the look and the lock is none of them', async () => {
    // The condition waits in the middle of the judging statement, whose snapshot was taken before.
    await e.db.sql(`create function waits() returns boolean language plpgsql volatile as $$ begin
      perform pg_advisory_xact_lock_shared(4242); return true; end $$`);
    await write(1, 50, 49, 48);
    const policy = newest(2, { where: 'waits()', judgedBy: [], quality: { emptyClocks: null } });
    const app = await e.db.session();
    await app.sql('select pg_advisory_lock(4242)');
    const running = e.run(policy);
    await untilWaiting(e.db, advisory(4242), running);
    await app.sql('delete from versions where id = 3');
    await app.sql('select pg_advisory_unlock(4242)');
    expect(await running).toMatchObject({ deleted: 0 });
    app.end();
    expect(await left()).toEqual({ 1: [1, 2] });
  });
});

const GENERATIONS = {
  tiers: [
    { keepOne: 'day' as const, until: days(30) },
    { keepOne: 'week' as const, until: days(365) },
    { keepOne: 'month' as const, until: days(3_650) },
  ],
};
const thinned = (thin: PolicyInput['thin'], changes: Partial<PolicyInput> = {}): Policy =>
  versions({ thin, rules: [{ label: 'all', keepFor: days(2) }], ...changes });

/** What should be left, in plain SQL over all rows at once: the first of each window. */
const expected = (policy: Policy, now: Date, zone: string) => {
  const { tiers, which, per } = policy.thin!;
  const direction = which === 'last' ? 'desc' : 'asc';
  const local = `(at at time zone '${zone}')`;
  const kept = tiers.map(({ keepOne, until }) => {
    const period = `date_trunc('${keepOne}', ${local})`;
    const length = keepOne === 'quarter' ? '3 months' : `1 ${keepOne}`;
    const over = `over (partition by ${[...per, period].join(', ')} order by at ${direction}, id ${direction})`;
    const lives =
      until.seconds === null
        ? 'true'
        : `((${period} + interval '${length}') at time zone '${zone}') > '${now.toISOString()}'::timestamptz - interval '${until.seconds} seconds'`;
    return `(row_number() ${over} = 1 and ${lives})`;
  });
  return e.db.sql<{ id: number }>(
    `select id from (select id, at >= '${now.toISOString()}'::timestamptz - interval '${policy.rules[0]!.keepFor.seconds} seconds' as young,
      ${kept.join(' or ')} as kept from versions) x where young or kept order by id`,
  );
};
const ids = () => e.db.sql<{ id: number }>('select id from versions order by id');

/** A number below `n`, the same ones in each run. */
const dice = (seed: number) => {
  let state = seed >>> 0;
  return (n: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 4294967296) * n);
  };
};
async function scatter(seed: number, rows: number, mostDays: number): Promise<void> {
  const roll = dice(seed);
  const at = Array.from({ length: rows }, () => (roll(4) === 0 ? roll(60) : roll(mostDays)) + roll(48) / 48);
  const docs = at.map(() => 1 + roll(3));
  await e.db.sql(
    `insert into versions (doc, at) select d, $3::timestamptz - make_interval(secs => a * 86400) from unnest($1::int[], $2::float8[]) x(d, a)`,
    [docs, at, NOW.toISOString()],
  );
}

describe('one of each period', () => {
  it('stays as long as its tier says: one a day, then one a week, then one a month', async () => {
    // NOW is a Sunday, the first of March. Two a day for ten days, then three in one week of last year.
    await write(1, ...Array.from({ length: 20 }, (_, i) => i / 2 + 0.1));
    await write(1, 100, 99, 98);
    await write(1, 3_700);
    const policy = thinned(GENERATIONS);
    Object.assign(e.services, { policies: [policy] });
    expect(await fitsDatabase(e, policy)).toEqual([]);
    const wanted = await expected(policy, NOW, 'UTC');
    const dry = await e.run(policy, { dryRun: true });
    const result = await e.run(policy, { batchSize: 3 });
    expect(await ids()).toEqual(wanted);
    expect(dry.preview).toMatchObject({
      expired: result.deleted,
      kept: { one_of_period: dry.preview!.kept.one_of_period },
    });
    expect(result).toMatchObject({ outcome: 'succeeded', deleted: 24 - wanted.length });
    expect(await e.run(policy)).toMatchObject({
      deleted: 0,
      kept: { one_of_period: result.kept.one_of_period },
    });
    const why = await explainRow(e.services, 'public.versions', String(wanted.at(-1)!.id));
    expect(why.here[0]).toMatchObject({ status: 'one_of_period' });
    expect(inWords(policy)).toEqual([
      'all: after 2 days; the last row of each day stays for 30 days, of each week stays for 365 days (1 year), of each month stays for 3,650 days (10 years)',
    ]);
  });

  it.each([
    [1, { ...GENERATIONS }, 'UTC'],
    [
      2,
      { ...GENERATIONS, per: ['doc'], which: 'first' as const, zone: 'America/New_York' },
      'America/New_York',
    ],
    [3, { ...GENERATIONS, per: ['doc'], zone: 'Asia/Kolkata' }, 'Asia/Kolkata'],
    [
      4,
      {
        tiers: [
          { keepOne: 'quarter' as const, until: days(700) },
          { keepOne: 'year' as const, until: forever() },
        ],
        which: 'first' as const,
      },
      'UTC',
    ],
  ])('are those that plain SQL finds, whatever the batches (%i)', async (seed, thin, zone) => {
    await scatter(seed, 400, 1_500);
    const policy = thinned(thin);
    const wanted = await expected(policy, NOW, zone);
    expect(wanted.length).toBeLessThan(400);
    expect(await e.run(policy, { batchSize: 17 })).toMatchObject({
      outcome: 'succeeded',
      deleted: 400 - wanted.length,
    });
    expect(await ids()).toEqual(wanted);
  });

  it('are the same after a run each week as after one at the end', async () => {
    await scatter(7, 300, 500);
    const all = await e.db.sql<{ id: number; doc: number; at: string }>(
      'select id, doc, at::text from versions',
    );
    const policy = thinned({ ...GENERATIONS, per: ['doc'] });
    for (let week = 1; week <= 40; week += 4) {
      const now = new Date(NOW.getTime() + week * 7 * DAY * 1000);
      Object.assign(e.services, { clock: () => now });
      expect(
        await e.run(policy, { batchSize: 10, deadline: new Date(now.getTime() + 240_000) }),
      ).toMatchObject({ outcome: 'succeeded' });
    }
    const left = await ids();
    await e.db.sql('delete from versions');
    await e.db.sql(
      `insert into versions (id, doc, at) overriding system value select * from unnest($1::int[], $2::int[], $3::timestamptz[])`,
      [all.map((r) => r.id), all.map((r) => r.doc), all.map((r) => r.at)],
    );
    const now = e.services.clock();
    await e.run(policy, { deadline: new Date(now.getTime() + 240_000) });
    expect(await ids()).toEqual(left);
  });

  it('is one also of a day whose midnight comes twice', async () => {
    // In Havana the clocks go back at one o'clock to midnight, on the first of November.
    await e.db.sql(
      `insert into versions (doc, at) select 1, '2025-11-01T12:00Z'::timestamptz + n * interval '30 minutes' from generate_series(0, 100) n`,
    );
    const zone = 'America/Havana';
    for (const which of ['first', 'last'] as const) {
      const policy = thinned({ tiers: [{ keepOne: 'day', until: days(3_650) }], zone, which });
      const wanted = await expected(policy, NOW, zone);
      const dry = await e.run(policy, { dryRun: true });
      expect(dry.preview?.expired).toBe(101 - wanted.length);
      if (which === 'last') expect(await e.run(policy)).toMatchObject({ deleted: 101 - wanted.length });
      if (which === 'last') expect(await ids()).toEqual(wanted);
    }
  });

  it.each([
    ['timestamp', `at time zone 'Europe/Berlin'`],
    ['date', `at time zone 'Europe/Berlin')::date + (0`],
  ])('is told by a clock of type %s in the zone it was written in', async (type, as) => {
    await scatter(9, 200, 400);
    await e.db.sql(`alter table versions alter at type ${type} using ((at ${as}))`);
    const policy = thinned(GENERATIONS, {
      clock: { column: 'at', type: type as 'date', zone: 'Europe/Berlin' },
    });
    expect(await fitsDatabase(e, policy)).toEqual([]);
    await e.run(policy, { batchSize: 23 });
    const twice = await e.db.sql(
      `select date_trunc('month', at::timestamp) from versions
      where at < $1::timestamptz - interval '13 months' group by 1 having count(*) > 3`,
      [NOW.toISOString()],
    );
    const months = await e.db.sql(
      `select count(distinct date_trunc('month', at::timestamp))::int as n from versions where at < $1::timestamptz - interval '40 days'`,
      [NOW.toISOString()],
    );
    expect(twice).toEqual([]);
    expect(months[0]!.n).toBeGreaterThan(10);
    expect(await e.run(policy)).toMatchObject({ deleted: 0 });
  });
});

describe('a declaration that cannot be exact', () => {
  it.each([
    [
      'a partitioned table',
      { keepAtLeast: { newest: 2 }, partitioned: { by: 'day' } },
      'keepAtLeast: a partition is dropped whole, also those of its rows that should stay',
    ],
    [
      'a clock of several columns',
      { keepAtLeast: { newest: 2 }, clock: { column: 'at', type: 'timestamptz', otherwise: ['made'] } },
      'keepAtLeast: only by a clock of one column',
    ],
    [
      'a number as the clock of a calendar',
      { thin: GENERATIONS, clock: { column: 'at', type: 'epoch', unit: 'seconds' } },
      'thin: only by a clock',
    ],
    [
      'a second zone',
      { thin: { ...GENERATIONS, zone: 'UTC' }, clock: { column: 'at', type: 'date' } },
      'thin.zone: the clock has a zone',
    ],
    ['an unknown zone', { thin: { ...GENERATIONS, zone: 'Mars/Olympus' } }, 'thin.zone: "Mars/Olympus"'],
    [
      'a tier that keeps nothing',
      { thin: { tiers: [{ keepOne: 'day', until: days(30) }] } },
      'thin.tiers.0.until',
    ],
    [
      'a shorter period behind a longer one',
      {
        thin: {
          tiers: [
            { keepOne: 'week', until: days(40) },
            { keepOne: 'day', until: days(50) },
          ],
        },
      },
      'thin.tiers.1.keepOne',
    ],
    [
      'a tier that ends before the one before',
      {
        thin: {
          tiers: [
            { keepOne: 'day', until: days(40) },
            { keepOne: 'week', until: days(40) },
          ],
        },
      },
      'thin.tiers.1.until',
    ],
    [
      'a variable that nobody reads',
      { thin: { tiers: [{ keepOne: 'day', until: days(40, 'DAYS') }] } },
      'thin.tiers.0.until',
    ],
  ])('%s does not start', (_, changes, problem) => {
    expect(() => versions(changes as Partial<PolicyInput>)).toThrow(problem);
  });

  it.each([
    ['the group may be empty', 'alter table versions alter doc drop not null', 'SET NOT NULL;'],
    [
      'no index has the groups in their order',
      'drop index versions_doc_at_id_idx',
      'CREATE INDEX CONCURRENTLY ON "public"."versions" ("doc", "at", "id");',
    ],
  ])('is refused where %s, and runs when the remedy was followed', async (_, alter, remedy) => {
    await write(1, 50, 49);
    await e.db.sql(alter);
    expect(await fitsDatabase(e, newest(1))).toMatchObject([{ remedy: expect.stringContaining(remedy) }]);
    expect(await e.run(newest(1))).toMatchObject({ outcome: 'errored', deleted: 0 });
    await e.db.sql((await fitsDatabase(e, newest(1)))[0]!.remedy);
    expect(await e.run(newest(1))).toMatchObject({ outcome: 'succeeded', deleted: 1 });
  });

  it('another number, or another tier, waits out the cooling-off', () => {
    const reaches = [
      versions({}),
      newest(1),
      newest(2),
      thinned(GENERATIONS),
      thinned({ ...GENERATIONS, which: 'first' }),
    ];
    expect(new Set(reaches.map((p) => policyReach({ ...p, rules: versions({}).rules }))).size).toBe(5);
  });
});
