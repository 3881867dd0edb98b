import { afterEach, describe, expect, it } from 'vitest';
import type { Database } from '@/lib/platform/database';
import { DatabaseError } from '@/lib/platform/errors';
import { resolvePolicies } from '@/lib/policies';
import { days, type Policy, type PolicyInput } from '@/lib/policies/contract';
import { makePlan, type Plan, type PolicyPlan } from '@/lib/watch/plan/plan';
import { planInWords } from '@/lib/watch/plan/words';
import {
  ago,
  DAY,
  databaseClock,
  type Engine,
  engine,
  govern,
  left,
  NOW,
  things,
  thingsPolicy,
} from '../../support/engine';

let e: Engine;
afterEach(() => e?.stop());

const kept = (n: number): Partial<PolicyInput> => ({ rules: [{ label: 'all', keepFor: days(n) }] });
const later = (at: Date, n: number) => new Date(at.getTime() + n * DAY * 1000);

/** What production last ran: one real run of it. */
async function inProduction(
  changes: Partial<PolicyInput>,
  env: Record<string, string> = {},
): Promise<Policy> {
  e = await engine({ env });
  await databaseClock(e.db, NOW);
  const policy = await govern(e.db, changes);
  await e.run(policy);
  return policy;
}

const plan = (policies: readonly Policy[], more: { mostRows?: number; at?: Date } = {}): Promise<Plan> =>
  makePlan(
    { ...e.services, policies, guards: e.services.settings.guards, clock: () => more.at ?? NOW },
    { deadline: later(more.at ?? NOW, 1), days: 30, ...(more.mostRows ? { mostRows: more.mostRows } : {}) },
  );
const planned = async (policy: Policy, more = {}): Promise<PolicyPlan> =>
  (await plan([policy], more)).policies[0]!;

describe('a plan', () => {
  it('counts exactly the rows that a run deletes because of a changed period', async () => {
    await inProduction(kept(50));
    await things(
      e.db,
      [...Array(60).keys()].map((n) => (n + 0.5) * DAY),
    );
    const branch = thingsPolicy(kept(5));
    const { change, effect } = await planned(branch);
    expect(change).toBe('changed');
    expect(effect?.becomes?.now).toMatchObject({ rows: 45, complete: true });
    expect(effect?.spared?.now.rows).toBe(0);

    // What production may delete anyway goes first.
    expect((await e.run(thingsPolicy(kept(50)))).deleted).toBe(10);
    expect((await e.run(branch)).deleted).toBe(45);
  });

  it('counts exactly the rows that go earlier because of it within thirty days', async () => {
    await inProduction(kept(50));
    await things(
      e.db,
      [...Array(60).keys()].map((n) => (n + 0.5) * DAY),
    );
    const branch = thingsPolicy(kept(5));
    const { effect } = await planned(branch);
    expect(effect?.becomes?.ahead).toMatchObject({ rows: 50, complete: true });
    // Production alone would still have those that are younger than twenty days now.
    expect(effect?.becomes?.beyond).toMatchObject({ rows: 20, complete: true });

    // Each night production takes what it may, and the branch what is left for it.
    let deleted = 0;
    for (let night = 0; night <= 30; night += 1) {
      const then = await engineAt(later(NOW, night));
      await then.run(thingsPolicy(kept(50)));
      deleted += (await then.run(branch)).deleted;
    }
    expect(deleted).toBe(50);
  });

  it('says what stays with a longer period', async () => {
    await inProduction(kept(10));
    await things(
      e.db,
      [5, 15, 25, 35].map((n) => n * DAY),
    );
    const { effect } = await planned(thingsPolicy(kept(20)));
    expect(effect?.becomes?.now.rows).toBe(0);
    expect(effect?.spared?.now.rows).toBe(1);
    expect(effect?.stays).toMatchObject({ coolingOff: 0 });
  });

  it('counts what a wider predicate reaches, and nothing that production reached already', async () => {
    await inProduction({ where: `t.note = 'old'` });
    await things(
      e.db,
      [40, 40, 40, 10].map((n) => n * DAY),
    );
    await e.db.sql(`update things set note = 'old' where ctid = (select min(ctid) from things)`);
    const branch = thingsPolicy({ where: `t.note = 'old' or t.note is null` });
    const { effect, sides } = await planned(branch);
    expect(effect?.becomes?.now.rows).toBe(2);
    expect(sides).toContainEqual({ field: 'where', production: `t.note = 'old'`, branch: branch.where });
  });

  it('says separately what is held, extended, and cooling off', async () => {
    await inProduction(kept(50), { LAPSE_COOLING_OFF_DAYS: '7' });
    const [first, second] = await things(
      e.db,
      [10, 20, 30, 60].map((n) => n * DAY),
    );
    const { id: oldest } = (await e.db.sql('select id::text from things order by at limit 1'))[0] as {
      id: string;
    };
    const hold = (id: string) =>
      e.db.sql(
        `insert into retention.hold (scope, subject, table_name, reason, placed_by) values ('item', $1, 'public.things', 'matter', 'alice')`,
        [id],
      );
    await hold(first!);
    // Held as well, but production may delete it already: no part of the change.
    await hold(oldest);
    await e.db.sql(
      `insert into retention.extension (table_name, row_key, keep_until, reason, extended_by) values ('public.things', $1, $2, 'later', 'alice')`,
      [second!, ago(-60 * DAY)],
    );
    const branch = thingsPolicy(kept(5));
    const { effect } = await planned(branch);
    expect(effect?.becomes?.now).toMatchObject({ rows: 1, kept: { held: 1, extended: 1 } });
    expect(effect?.stays).toMatchObject({ coolingOff: 1, coolingDays: 7 });
    expect((await e.run(branch)).deleted).toBe(0);
  });

  it('says when the guard would stop the run, and what the rollout lets go', async () => {
    await inProduction(kept(50), { LAPSE_MASS_DELETION_GUARD: 'on', LAPSE_PROGRESSIVE_ROLLOUT: 'on' });
    await things(
      e.db,
      Array.from({ length: 40 }, () => 10 * DAY),
    );
    await e.db.sql('analyze things');
    const { effect } = await planned(thingsPolicy(kept(5)));
    expect(effect?.becomes?.now.rows).toBe(40);
    expect(effect?.stays?.guard).toMatch(/^more rows would go than 20, 50 % of about 40 rows/);
    expect(effect?.stays?.steps).toEqual([10, 100, 1000]);
  });

  it('says when the guard could not be asked in time', async () => {
    await inProduction(kept(50), { LAPSE_MASS_DELETION_GUARD: 'on' });
    await things(e.db, [10 * DAY]);
    const { database } = e.services;
    const slow: Database = {
      transaction: (statements, options) =>
        statements.some((s) => s.text.includes('as candidates'))
          ? Promise.reject(new DatabaseError('timeout', '57014', 'PostgreSQL 57014'))
          : database.transaction(statements, options),
    };
    e = { ...e, services: { ...e.services, database: slow } };
    const made = await plan([thingsPolicy(kept(5))]);
    expect(made.policies[0]?.effect?.becomes?.now.rows).toBe(1);
    expect(made.policies[0]?.effect?.stays?.guard).toMatch(
      /^it could not be counted in time whether more rows would go than 10 of a table/,
    );
    expect(planInWords(made)).toContain('it could not be counted in time');
  });

  it('counts what goes along, by table, and says so', async () => {
    await inProduction(kept(50));
    await e.db.sql(`create table notes (id serial primary key, thing uuid references things on delete cascade);
      create index on notes (thing); grant select, delete on notes to lapse_app; select retention.protect('public.notes')`);
    const [thing] = await things(e.db, [10 * DAY]);
    await e.db.sql('insert into notes (thing) values ($1), ($1), ($1)', [thing]);
    const NOTES = {
      table: { name: 'notes' },
      key: [{ column: 'id', type: 'integer' }],
      references: ['thing'],
      fate: 'delete' as const,
    };
    const made = await plan([thingsPolicy({ ...kept(5), dependants: [NOTES] })]);
    expect(made.policies[0]?.effect?.becomes?.now).toMatchObject({
      rows: 1,
      dependants: { 'public.notes': 3 },
    });
    const words = planInWords(made);
    expect(words).toContain('**1 row with 3 that go along and 0 files become deletable because of it now,');
    expect(words).toContain('| with them: public.notes | 3 | 3 | 3 |');
  });

  it('tells a schedule that changes, without counting anything', async () => {
    await inProduction({});
    const { change, effect, sides } = await planned(thingsPolicy({ schedule: { run: '5 2 * * *' } }));
    expect(change).toBe('changed');
    expect(effect).toBeNull();
    expect(sides).toContainEqual({ field: 'schedule', production: '0 2 * * *', branch: '5 2 * * *' });
  });

  it('compares with the schedule of the last run, also where only that has changed since', async () => {
    await inProduction({});
    const moved = thingsPolicy({ schedule: { run: '5 2 * * *' } });
    await e.run(moved);
    expect(await planned(moved)).toMatchObject({ change: 'unchanged' });
  });

  it('counts a row whose clock is exactly where production stops', async () => {
    await inProduction(kept(50));
    await e.db.sql('insert into things (at) values ($1)', [ago(50 * DAY)]);
    expect((await planned(thingsPolicy(kept(5)))).effect?.becomes?.now.rows).toBe(1);
  });

  it('finds nothing where nothing has changed', async () => {
    const policy = await inProduction(kept(50));
    await things(e.db, [60 * DAY]);
    expect(await planned(policy)).toMatchObject({ change: 'unchanged', effect: null, problems: [] });
    expect(planInWords(await plan([policy]))).toContain('None of 1 policy changes.');
  });

  it('counts all that a new policy reaches, and names one that is gone', async () => {
    await inProduction(kept(50));
    await things(
      e.db,
      [40, 40, 10].map((n) => n * DAY),
    );
    const made = await plan([thingsPolicy({ ...kept(30), name: 'others' })]);
    expect(made.policies.map((p) => [p.policy, p.change])).toEqual([
      ['others', 'new'],
      ['things', 'removed'],
    ]);
    expect(made.policies[0]?.effect?.becomes?.now.rows).toBe(2);
    expect(made.policies[1]?.effect?.spared?.ahead.rows).toBe(2);
  });

  it('stops at its bound and says "more than"', async () => {
    await inProduction(kept(50));
    await e.db.sql(`insert into things (at) select $1::timestamptz from generate_series(1, 45000)`, [
      ago(10 * DAY),
    ]);
    const { effect } = await planned(thingsPolicy(kept(5)), { mostRows: 30_000 });
    expect(effect?.becomes?.now).toMatchObject({ rows: 40_000, complete: false });
    expect(planInWords(await plan([thingsPolicy(kept(5))], { mostRows: 30_000 }))).toContain(
      '**more than 40,000 rows',
    );
  });

  it('takes the periods that production has from its environment, not from its own', async () => {
    const declared = (n: number) =>
      thingsPolicy({ rules: [{ label: 'all', keepFor: days(n, 'KEEP_THINGS') }] });
    e = await engine();
    await govern(e.db);
    await e.run(resolvePolicies({ KEEP_THINGS: '45' }, [declared(30)])[0]!);
    const here = resolvePolicies({ KEEP_THINGS: '1' }, [declared(30)])[0]!;
    expect(await planned(here)).toMatchObject({ change: 'unchanged' });
    // Another default changes nothing there either: the variable is set.
    expect((await planned(declared(20))).sides).toContainEqual(
      expect.objectContaining({ field: 'period all', branch: '45 days (KEEP_THINGS may change it)' }),
    );
  });

  it('compares with a record from before declarations were kept by its periods', async () => {
    await inProduction(kept(50));
    await e.db.sql('update retention.policy_version set declaration = null');
    await things(
      e.db,
      [10, 60].map((n) => n * DAY),
    );
    expect((await planned(thingsPolicy(kept(5)))).effect?.becomes?.now.rows).toBe(1);
    const other = await planned(thingsPolicy({ ...kept(5), where: 'true' }));
    expect(other.effect?.becomes?.now.rows).toBe(2);
    expect(other.problems[0]).toMatch(/the record does not hold what production last ran/);
  });

  it('compares with a production that is a migration behind the branch', async () => {
    await inProduction(kept(50));
    await e.db.sql('alter table retention.policy_version drop column declaration');
    await things(
      e.db,
      [10, 60].map((n) => n * DAY),
    );
    expect((await planned(thingsPolicy(kept(5)))).effect?.becomes?.now.rows).toBe(1);
  });

  it.each<[string, PolicyInput['clock']]>([
    ['timestamp', { column: 'at', type: 'timestamp', zone: 'Europe/Berlin' }],
    ['date', { column: 'at', type: 'date', zone: 'Asia/Tokyo' }],
  ])('counts exactly by a clock of type %s in its own zone', async (type, clock) => {
    e = await engine();
    await databaseClock(e.db, NOW);
    await govern(e.db);
    await e.db.sql(`alter table things alter at type ${type} using at at time zone 'UTC'`);
    const policy = (n: number) => thingsPolicy({ ...kept(n), clock });
    await e.run(policy(150));
    // Across the hour that the change to summer time leaves out, and the one that autumn has twice.
    await e.db.sql(
      `insert into things (at) select $1::timestamp - make_interval(hours => n) from generate_series(0, 4000) n`,
      [NOW.toISOString().slice(0, 19)],
    );
    const becomes = (await planned(policy(20))).effect?.becomes?.now.rows;
    expect((await e.run(policy(150))).outcome).toBe('succeeded');
    expect((await e.run(policy(20))).deleted).toBe(becomes);
    expect(becomes).toBeGreaterThan(3000);
  });

  it('names a policy it cannot count, and counts the others', async () => {
    await inProduction(kept(50));
    await things(e.db, [10 * DAY]);
    const broken = thingsPolicy({ name: 'broken', table: { name: 'not_there_yet' } });
    const made = await plan([broken, thingsPolicy(kept(5))]);
    expect(made.policies[0]).toMatchObject({ policy: 'broken', effect: null });
    expect(made.policies[0]?.problems[0]).toMatch(/not counted: .*not_there_yet.*does not exist/);
    expect(made.policies[1]?.effect?.becomes?.now.rows).toBe(1);
    expect(planInWords(made)).toContain('**Not counted: broken.**');
  });

  it('writes nothing, and leaves every row', async () => {
    await inProduction(kept(50));
    await things(
      e.db,
      [10, 60].map((n) => n * DAY),
    );
    const before = await e.db.sql('select count(*)::int as runs from retention.run');
    await planned(thingsPolicy(kept(5)));
    expect(await left(e.db)).toBe(2);
    expect(await e.db.sql('select count(*)::int as runs from retention.run')).toEqual(before);
    expect(await e.db.sql('select 1 from retention.policy_version')).toHaveLength(1);
  });

  it('stands in a comment: the numbers first, each side beside the other', async () => {
    await inProduction(kept(50));
    await things(
      e.db,
      [10, 20].map((n) => n * DAY),
    );
    const words = planInWords(
      await plan([thingsPolicy({ ...kept(5), where: `t.note <> 'a|b' or t.note is null` })]),
    );
    expect(words).toContain(
      '1 of 1 policy changes. **2 rows and 0 files become deletable because of it now,',
    );
    expect(words).toContain('| period all | **50 days** | **5 days** |');
    expect(words).toContain(`**t.note &lt;> 'a\\|b' or t.note is null**`);
  });
});

/** The same database some days later, as a run finds it. */
async function engineAt(at: Date): Promise<Engine> {
  await databaseClock(e.db, at);
  return { ...e, run: (policy) => runAt(policy, at) };
}
async function runAt(policy: Policy, at: Date) {
  const { runPolicy } = await import('@/lib/engine/run/run');
  const { runRequest } = await import('../../support/engine');
  return runPolicy({ ...e.services, clock: () => at }, policy, runRequest(at));
}
