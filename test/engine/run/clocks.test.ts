/** Every kind of clock, around its cutoff: what the dry run counts is what the run deletes, and what no instant is stays. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { borders, middle } from '@/lib/engine/statement/divide';
import { legsOf, type RuleLeg } from '@/lib/engine/statement/leg';
import { walkOf } from '@/lib/engine/statement/legs';
import { clockOf } from '@/lib/engine/statement/legs/columns';
import { explainRow } from '@/lib/operators/audit/explain-row';
import type { Query } from '@/lib/platform/query';
import { askOne } from '@/lib/platform/session';
import { inlined, list, sql, statement, typed } from '@/lib/platform/sql';
import { scaleOf } from '@/lib/policies/clocks';
import { atOnce, days, type Policy, type PolicyInput } from '@/lib/policies/contract';
import { calendar } from '@/lib/watch/calendar/calendar';
import { measurePolicy } from '@/lib/watch/quality/measure';
import { DAY, type Engine, engine, fitsDatabase, NOW, thingsPolicy } from '../../support/engine';
import { follow, named, refused } from '../../support/preflight';

let e: Engine;
beforeEach(async () => {
  e = await engine();
});
afterEach(() => e.stop());

/** What a row's clock says: so many milliseconds after the cutoff of 30 days; or a value as it stands. */
type Written = number | { readonly value: string };
const CUTOFF = NOW.getTime() - 30 * DAY * 1000;

interface Kind {
  readonly called: string;
  /** What its columns need before there is a table. */
  readonly first?: string;
  readonly columns: string;
  readonly clock: PolicyInput['clock'];
  /** In which these are written. */
  readonly written: (ms: number) => string;
  /** How the index begins. */
  readonly index: string;
  /** The shortest time it tells apart. */
  readonly tick: number;
  /** Values that are no instants. */
  readonly never: readonly string[];
}

const iso = (ms: number) => new Date(ms).toISOString();
const KINDS: readonly Kind[] = [
  {
    called: 'seconds in a bigint',
    columns: 'at bigint',
    clock: { column: 'at', type: 'epoch', unit: 'seconds' },
    written: (ms) => String(Math.floor(ms / 1000)),
    index: '"at"',
    tick: 1000,
    never: ['0', '-1', '31536000', '9223372036854775807'],
  },
  {
    called: 'seconds in an integer',
    columns: 'at int',
    clock: { column: 'at', type: 'epoch', unit: 'seconds' },
    written: (ms) => String(Math.floor(ms / 1000)),
    index: '"at"',
    tick: 1000,
    never: ['0', '-1'],
  },
  {
    called: 'milliseconds in a bigint',
    columns: 'at bigint',
    clock: { column: 'at', type: 'epoch', unit: 'milliseconds' },
    written: String,
    index: '"at"',
    tick: 1,
    // Seconds, written into a column of milliseconds, would all be of January 1970.
    never: ['0', '1700000000', '-9223372036854775808', '9223372036854775807'],
  },
  {
    called: 'seconds with a fraction',
    columns: 'at numeric',
    clock: { column: 'at', type: 'epoch', unit: 'seconds', numeric: true },
    written: (ms) => (ms / 1000).toFixed(3),
    index: '"at"',
    tick: 1,
    never: ['0', 'NaN', '1e300'],
  },
  {
    called: 'ISO text as JavaScript writes it',
    columns: 'at text',
    clock: { column: 'at', type: 'iso' },
    written: iso,
    index: '"at"',
    tick: 1,
    never: [
      '',
      '2020-01-01',
      '2020-01-01T00:00:00Z',
      '2020-01-01T00:00:00.000+02:00',
      '2020-01-01 00:00:00.000Z',
      '2019-02-29T00:00:00.000Z',
      '2020-13-01T00:00:00.000Z',
      '0000-01-01T00:00:00.000Z',
      'yesterday',
    ],
  },
  {
    called: 'ISO text without a fraction',
    columns: 'at varchar(20)',
    clock: { column: 'at', type: 'iso', digits: 0 },
    written: (ms) => iso(ms).replace(/\.\d+/, ''),
    index: '"at"',
    tick: 1000,
    never: ['2020-04-31T00:00:00Z', 'n/a'],
  },
  {
    called: 'an instant of a domain made of another',
    first: `create domain moment as timestamptz; create domain instant as moment check (value > '1900-01-01')`,
    columns: 'at instant',
    clock: { column: 'at', type: 'timestamptz' },
    written: iso,
    index: '"at"',
    tick: 1,
    never: ['infinity'],
  },
  {
    called: 'milliseconds of a domain that takes no negative number',
    first: 'create domain biguint as bigint check (value is null or 0 <= value)',
    columns: 'at biguint',
    clock: { column: 'at', type: 'epoch', unit: 'milliseconds' },
    written: String,
    index: '"at"',
    tick: 1,
    never: ['0', '1700000000', '9223372036854775807'],
  },
  {
    called: 'the first of two of a domain',
    first: 'create domain moment as timestamptz',
    columns: 'deleted_at moment, at moment',
    clock: { column: 'deleted_at', otherwise: ['at'], type: 'timestamptz' },
    written: iso,
    index: '(coalesce("deleted_at", "at"))',
    tick: 1,
    never: ['-infinity', 'infinity'],
  },
  {
    called: 'the first of two that is set',
    columns: 'deleted_at timestamptz, at timestamptz',
    clock: { column: 'deleted_at', otherwise: ['at'], type: 'timestamptz' },
    written: iso,
    index: '(coalesce("deleted_at", "at"))',
    tick: 1,
    never: ['-infinity', 'infinity'],
  },
  {
    called: 'the latest of two',
    columns: 'seen_at timestamptz, at timestamptz',
    clock: { column: 'seen_at', orLater: ['at'], type: 'timestamptz' },
    written: iso,
    index: '(greatest("seen_at", "at"))',
    tick: 1,
    never: ['-infinity', 'infinity'],
  },
];

/** A table of this kind of clock, without its index, and its policy. */
async function made(kind: Kind, changes: Partial<PolicyInput> = {}): Promise<Policy> {
  await e.db.sql(`${kind.first ?? ''};
    create table things (id int primary key, ${kind.columns});
    grant select, delete, update (id) on things to lapse_app`);
  await e.db.sql(`select retention.protect('public.things')`);
  return thingsPolicy({
    key: [{ column: 'id', type: 'integer' }],
    scope: {},
    clock: kind.clock,
    ...changes,
  });
}

/** Rows 1 … n; `null`: without a clock. */
const write = (kind: Kind, rows: readonly (Written | null)[], from = CUTOFF) =>
  e.db.sql(
    `insert into things (id, at) select o, x.v::${/\bat (\w+)/.exec(kind.columns)![1]} from unnest($1::text[]) with ordinality x(v, o)`,
    [rows.map((r) => (r === null ? null : typeof r === 'number' ? kind.written(from + r) : r.value))],
  );

const ids = async () => (await e.db.sql('select id from things order by id')).map((r) => Number(r.id));

describe.each(KINDS)('a clock of $called', (kind) => {
  it('takes what is before the cutoff, to its last tick, and nothing else', async () => {
    const policy = await made(kind);
    expect(await refused(e, policy)).toContain(
      `CREATE INDEX CONCURRENTLY ON "public"."things" (${kind.index}, "id");`,
    );
    expect(await follow(e, policy)).toEqual([]);
    const old = [-400 * DAY * 1000, -DAY * 1000, -kind.tick, -kind.tick, -5 * kind.tick];
    const young = [0, kind.tick, DAY * 1000, 40 * DAY * 1000];
    await write(kind, [...old, ...young, null, ...kind.never.map((value) => ({ value }))]);
    const before = await ids();
    const dry = await e.run(policy, { dryRun: true, batchSize: 2 });
    expect(dry.preview).toMatchObject({ expired: old.length, complete: true, blockers: [] });
    expect(dry.preview?.oldest).toContain(iso(CUTOFF - 400 * DAY * 1000).slice(0, 16));
    const run = await e.run(policy, { batchSize: 2 });
    expect(run).toMatchObject({ outcome: 'succeeded', deleted: old.length });
    expect(await ids()).toEqual(before.slice(old.length));
    expect(await named(e)).toEqual(before.slice(0, old.length).map((n) => `public.things ${n}`));
  });

  it('is walked by its index, from where a batch ended to the cutoff, and divided among lanes', async () => {
    const policy = await made(kind);
    await follow(e, policy);
    const rows = Array.from({ length: 4_000 }, (_, i) => (i % 4 === 3 ? 1 : -1) * (i + 1) * 60_000);
    await write(kind, rows);
    const leg = legsOf(policy, NOW)[0] as RuleLeg;
    const ask = <T>(asked: Query<T>) => askOne(e.services.database, asked, { statementMs: 5_000 });
    const shares = async () => {
      const ends = await ask(borders(policy, leg, null, { most: 4, rows: 500 }));
      const values = sql`(array[${list(...ends.map((x) => typed(x, scaleOf(policy.clock).type)))}])`;
      const counted =
        statement(sql`select width_bucket(${clockOf(policy)}, ${values}) as b, count(*)::int as n
        from things t where ${walkOf(policy, leg, NOW.toISOString()).past} group by 1 order by 1`);
      return (await e.db.sql(counted.text, [...counted.params])).map((r) => Number(r.n));
    };
    // Without statistics by the time, with them by the rows: these are as many in each hour.
    for (const analyze of ['select 1', 'analyze things']) {
      await e.db.sql(analyze);
      const found = await shares();
      expect(found.reduce((a, b) => a + b, 0)).toBe(3_000);
      expect(found).toHaveLength(4);
      for (const n of found) expect(n).toBeGreaterThan(400);
    }
    const at = { clock: kind.written(CUTOFF - 3_000 * 60_000), key: ['2999'] };
    const half = await ask(middle(policy, leg, at));
    const order = sql`${typed(half, scaleOf(policy.clock).type)} > ${typed(at.clock, scaleOf(policy.clock).type)}`;
    const compared = statement(sql`select ${order} as behind`);
    expect(await e.db.sql(compared.text, [...compared.params])).toEqual([{ behind: true }]);
    const picked = sql`with ${walkOf(policy, leg, NOW.toISOString()).picked(at, 100)[0]!} select count(*) from picked`;
    const plan = (await e.db.sql(`explain (analyze, costs off, timing off, summary off) ${inlined(picked)}`))
      .map((r) => String(Object.values(r)[0]))
      .join('\n');
    expect(plan).toMatch(/Index (Only )?Scan using .* \(actual rows=100/);
    expect(plan).not.toContain('Sort');
    expect(plan).toMatch(/Index Cond: .*ROW\(/);
    expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 3_000 });
  });

  it('tells the quality what is no instant, the calendar when, and a person why', async () => {
    const policy = await made(kind, { quality: { emptyClocks: 0, futureClocks: 0 } });
    await follow(e, policy);
    const empty = kind.never.filter((v) => !/^(infinity|9223372036854775807|NaN|1e300)$/.test(v));
    await write(kind, [-DAY * 1000, DAY * 1000, null, ...empty.map((value) => ({ value }))]);
    const found = await measurePolicy(e.services, policy, { now: NOW });
    expect(found.find((m) => m.measure === 'completeness')).toMatchObject({ found: empty.length + 1 });
    expect(found.find((m) => m.measure === 'timeliness')).toMatchObject({ found: 0 });
    const [entry] = await calendar(e.services, { policies: [policy], days: 3, inTime: () => true });
    expect(entry?.days.reduce((sum, d) => sum + d.rows, 0)).toBe(2);
    const services = { ...e.services, policies: [policy] };
    const [due] = (await explainRow(services, 'public.things', '1')).here;
    expect(due).toMatchObject({
      status: 'due',
      clock: expect.stringContaining(iso(CUTOFF - DAY * 1000).slice(0, 19)),
    });
    const [waits] = (await explainRow(services, 'public.things', '2')).here;
    expect(waits).toMatchObject({ status: 'not_expired' });
    const [never] = (await explainRow(services, 'public.things', '3')).here;
    expect(never).toMatchObject({ status: 'no_clock' });
  });
});

it('of two columns counts the one that is said, row by row', async () => {
  await e.db.sql(`create table things (id int primary key, deleted_at timestamptz, updated_at timestamptz);
    grant select, delete, update (id) on things to lapse_app`);
  const OLD = `'${iso(CUTOFF - 1)}'`;
  const YOUNG = `'${iso(CUTOFF)}'`;
  await e.db.sql(`insert into things values (1, ${OLD}, ${YOUNG}), (2, ${YOUNG}, ${OLD}), (3, null, ${OLD}), (4, null, ${YOUNG}),
    (5, null, null), (6, '-infinity', ${OLD}), (7, ${OLD}, '-infinity'), (8, ${OLD}, null), (9, ${OLD}, 'infinity')`);
  const policy = (clock: Pick<PolicyInput['clock'], 'otherwise' | 'orLater'>) =>
    thingsPolicy({
      key: [{ column: 'id', type: 'integer' }],
      scope: {},
      clock: { column: 'deleted_at', type: 'timestamptz', ...clock },
    });
  const expired = async (p: Policy) => {
    await follow(e, p);
    await e.run(p, { dryRun: true });
    return (await e.run(p, { dryRun: true })).preview?.sampleKeys.map(Number).sort();
  };
  // Minus infinity is set, and no instant: such a row stays.
  expect(await expired(policy({ otherwise: ['updated_at'] }))).toEqual([1, 3, 7, 8, 9]);
  expect(await expired(policy({ orLater: ['updated_at'] }))).toEqual([3, 6, 7, 8]);
});

it('a changed column counts under the lock of its row', async () => {
  const kind = KINDS.find((k) => k.called === 'the first of two that is set')!;
  const policy = await made(kind);
  await follow(e, policy);
  await write(kind, [-1, -1, -1]);
  await e.db.sql(`update things set deleted_at = '${iso(NOW.getTime())}' where id = 2`);
  expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 2 });
  expect(await ids()).toEqual([2]);
});

it('goes at once when it has expired, and only of a clock that lies ahead', async () => {
  const kind = { ...KINDS[2]!, clock: { ...KINDS[2]!.clock, ahead: true as const } };
  const rules = [{ label: 'expired', keepFor: atOnce() }];
  expect(() => thingsPolicy({ rules })).toThrow('clock.ahead: true');
  const policy = await made(kind, { rules });
  expect(policy.quality.futureClocks).toBe(1);
  await follow(e, policy);
  await write(kind, [-1, 0, 1, 86_400_000], NOW.getTime());
  expect(await e.run(policy)).toMatchObject({ outcome: 'succeeded', deleted: 1 });
  expect(await ids()).toEqual([2, 3, 4]);
});

it('of any kind is walked organization by organization', async () => {
  for (const kind of [KINDS[2]!, KINDS[4]!, KINDS[6]!]) {
    const policy = await made(kind, {
      rules: [{ label: 'all', keepFor: days(30) }],
      tenants: {
        table: { name: 'orgs' },
        key: { column: 'id', type: 'integer' },
        column: 'org',
        label: `'all'`,
      },
    });
    await e.db.sql(`create table orgs (id int primary key); insert into orgs select generate_series(1, 3); grant select on orgs to lapse_app;
      create trigger lapse_gate before insert or update or delete on orgs for each statement execute function retention.gate();
      alter table things add org int not null default 1`);
    expect(await follow(e, policy)).toEqual([]);
    await write(kind, [-1, -2, -3, -4_000, -5_000, 0, 1, null, { value: kind.never[0]! }]);
    await e.db.sql('update things set org = 1 + id % 3');
    expect(await e.run(policy, { batchSize: 2 })).toMatchObject({ outcome: 'succeeded', deleted: 5 });
    expect(await ids()).toEqual([6, 7, 8, 9]);
    await e.db.sql('drop table things, orgs');
  }
});

it('is refused where the declaration contradicts itself, or the column is of another type', async () => {
  const declared = (clock: PolicyInput['clock']) => () => thingsPolicy({ clock });
  const at = { column: 'at', type: 'timestamptz' } as const;
  expect(declared({ ...at, otherwise: ['b'], orLater: ['c'] })).toThrow('clock.orLater');
  expect(declared({ ...at, otherwise: ['at'] })).toThrow('names a column twice');
  expect(declared({ column: 'at', type: 'date', zone: 'Mars' })).toThrow('clock.zone');
  expect(() =>
    thingsPolicy({ clock: { column: 'at', type: 'epoch', unit: 'seconds' }, partitioned: { by: 'day' } }),
  ).toThrow('a partition is dropped only by');
  const said = async (type: string, clock: PolicyInput['clock'] = at) => {
    await e.db.sql(`drop table if exists things; create table things (id int primary key, at ${type})`);
    const policy = thingsPolicy({ key: [{ column: 'id', type: 'integer' }], scope: {}, clock });
    const found = (await fitsDatabase(e, policy)).find((p) => p.problem.includes('the clock'));
    return found?.remedy;
  };
  expect(await said('bigint')).toContain(`type: 'epoch'`);
  expect(await said('numeric', { column: 'at', type: 'epoch', unit: 'seconds' })).toContain('numeric: true');
  expect(await said('varchar(30)')).toContain(`type: 'iso'`);
  expect(await said('double precision')).toContain('name another clock');
  expect(await said('date')).toContain(`type: 'date'`);
});

it('an index counts where PostgreSQL itself walks by it: partial, of an expression, backwards, never a sorted one', async () => {
  await e.db.sql(`create table things (id int primary key, state text not null, deleted_at timestamptz, at timestamptz);
    grant select, delete, update (id) on things to lapse_app; select retention.protect('public.things')`);
  const policy = thingsPolicy({
    key: [{ column: 'id', type: 'integer' }],
    scope: {},
    clock: { column: 'deleted_at', otherwise: ['at'], type: 'timestamptz' },
    rules: [{ label: 'done', keepFor: days(30), match: { state: 'done' } }],
  });
  const fits = async (index: string, where = '') => {
    await e.db.sql(`create index one on things (${index}) ${where}`);
    const problems = await fitsDatabase(e, policy);
    await e.db.sql('drop index one');
    return problems.length === 0;
  };
  const clock = 'coalesce(deleted_at, at)';
  expect(await fits(`state, (${clock}), id`)).toBe(true);
  expect(await fits(`state, (${clock}) desc, id desc`)).toBe(true);
  expect(await fits(`(${clock}), id`, `where state in ('done', 'failed') and state = 'done'`)).toBe(true);
  expect(await fits(`(${clock}), id`, `where state = 'done' and ${clock} is not null`)).toBe(true);
  expect(await fits(`state, (${clock})`)).toBe(false);
  expect(await fits(`state, (${clock}) desc, id`)).toBe(false);
  expect(await fits(`(${clock}), id`, `where state = 'failed'`)).toBe(false);
  // It would read every row of another state on the way.
  expect(await fits(`(${clock}), id`)).toBe(false);
  expect(await fits(`(${clock}), id`, `where state <> 'failed'`)).toBe(false);
  expect(await fits('state, (coalesce(at, deleted_at)), id')).toBe(false);
});

it('one index answers for the tenants of every rule', async () => {
  await e.db.sql(`create table orgs (id uuid primary key, plan text); grant select on orgs to lapse_app;
    create table things (id int primary key, org uuid, deleted_at timestamptz, at timestamptz);
    grant select, delete, update (id) on things to lapse_app; select retention.protect('public.things')`);
  const policy = thingsPolicy({
    key: [{ column: 'id', type: 'integer' }],
    scope: {},
    clock: { column: 'deleted_at', otherwise: ['at'], type: 'timestamptz' },
    tenants: { table: { name: 'orgs' }, key: { column: 'id', type: 'uuid' }, column: 'org', label: 'o.plan' },
    rules: [
      { label: 'forever', keepFor: { seconds: null } },
      { label: 'free', keepFor: days(30) },
      { label: 'pro', keepFor: days(90) },
    ],
  });
  expect(await refused(e, policy)).toContain('has no index on ("org", (coalesce("deleted_at", "at")), "id")');
  expect(await follow(e, policy)).toEqual([]);
});

it('of two columns is found by the index of a partitioned table, too, as PostgreSQL plans it for one of its parts', async () => {
  await e.db.sql(`create table things (id int not null, at timestamptz, moved_at timestamptz, primary key (id)) partition by hash (id);
    create table things_0 partition of things for values with (modulus 1, remainder 0);
    create index on things ((coalesce(at, moved_at)), id)`);
  const policy = thingsPolicy({
    key: [{ column: 'id' }],
    scope: {},
    clock: { column: 'at', type: 'timestamptz', otherwise: ['moved_at'] },
    partitioned: { by: 'other' },
  });
  expect(await follow(e, policy)).toEqual([]);
});
