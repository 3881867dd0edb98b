import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runPolicy } from '@/lib/engine/run/run';
import { legsOf } from '@/lib/engine/statement/leg';
import { comingUp, tenantsOwing } from '@/lib/engine/statement/spans';
import { calendarRoute } from '@/lib/http/calendar-route';
import { counted } from '@/lib/platform/database';
import { askOne } from '@/lib/platform/session';
import { days, type Policy } from '@/lib/policies/contract';
import { type CalendarDay, calendar, RANGE_CAP } from '@/lib/watch/calendar/calendar';
import {
  DAY,
  databaseClock,
  type Engine,
  engine,
  NOW,
  protect,
  runRequest,
  thingsPolicy,
} from '../../support/engine';
import { dice } from '../../support/guarded';
import { noticed, ORGS, ofOrganization, organizations, told } from '../../support/notices';
import { OPERATORS, TOKENS } from '../../support/operators';

let e: Engine;
beforeEach(async () => {
  e = await engine({ env: { LAPSE_OPERATORS: OPERATORS, LAPSE_COOLING_OFF_DAYS: '7' } });
  await databaseClock(e.db, NOW);
});
afterEach(() => e.stop());

const later = (days: number) => new Date(NOW.getTime() + days * DAY * 1000);
const asks = (policy: Policy, days = 5) => ({ policies: [policy], days, inTime: () => true });
const daysOf = async (policy: Policy, days = 5): Promise<readonly CalendarDay[]> =>
  (await calendar(e.services, asks(policy, days)))[0]!.days;

/** The first run is a minute after the instant of the test. */
const plain = () => thingsPolicy({ schedule: { run: '1 2 * * *' } });
async function table(): Promise<void> {
  await e.db.sql(
    `create table things (id uuid primary key default gen_random_uuid(), at timestamptz, org uuid, person uuid, note text)`,
  );
  await e.db.sql('create index on things (at, id)');
  await e.db.sql('grant select, update, delete on things to lapse_app');
  await protect(e.db, plain());
}

/** A dry run of the policy at an instant, by its own clock and the database's. */
async function found(policy: Policy, at: Date): Promise<number> {
  await databaseClock(e.db, at);
  const run = await runPolicy({ ...e.services, clock: () => at }, policy, runRequest(at, { dryRun: true }));
  await databaseClock(e.db, NOW);
  return run.preview!.expired;
}

/** What the dry run of each day finds more than that of the day before. */
async function foundByDay(policy: Policy, all: readonly CalendarDay[]): Promise<number[]> {
  const sums: number[] = [];
  for (const day of all) sums.push(await found(policy, new Date(day.at)));
  return sums.map((sum, i) => sum - (sums[i - 1] ?? 0));
}

/** The sum until each day is what a dry run at that day's run finds, and the first day is the very next run. */
async function agrees(policy: Policy, days: number): Promise<readonly CalendarDay[]> {
  const all = await daysOf(policy, days);
  expect(all).toHaveLength(days);
  let sum = 0;
  for (const day of all) {
    sum += day.rows;
    expect([day.date, sum]).toEqual([day.date, await found(policy, new Date(day.at))]);
  }
  return all;
}

describe('the calendar of a policy with one rule', () => {
  it('says on which day what goes, and agrees with the dry run of every one of them', async () => {
    await table();
    const ages = [45, 31, 30, 29.9, 29.5, 28.7, 28.2, 27, 26.99, 10];
    for (const age of ages) await e.db.sql(`insert into things (at) values ($1)`, [later(-age)]);
    const all = await agrees(plain(), 5);
    expect(all.map((d) => [d.date, d.rows])).toEqual([
      ['2026-03-01', 3],
      ['2026-03-02', 2],
      ['2026-03-03', 2],
      ['2026-03-04', 1],
      ['2026-03-05', 1],
    ]);
  });

  it('knows when a hold keeps, an extension ends, and a failed row is tried again', async () => {
    await table();
    const ids = (
      await e.db.sql<{ id: string }>(
        `insert into things (at) select $1::timestamptz - make_interval(days => 40 - i) from generate_series(1, 20) i returning id::text`,
        [NOW],
      )
    ).map((r) => r.id);
    await e.db.sql(`select retention.place_hold('alice', 'court', 'item', $1, 'public.things')`, [ids[0]]);
    for (const [i, days] of [
      [1, 2],
      [2, 2.5],
      [12, 1],
      [13, 400],
    ] as const) {
      await e.db.sql(`select retention.set_extension('alice', 'x', 'public.things', $1, $2, 0)`, [
        ids[i],
        later(days),
      ]);
    }
    for (const [i, state, days] of [
      [3, 'open', 3],
      [4, 'discarded', 1],
      [14, 'open', 4],
    ] as const) {
      await e.db.sql(
        `insert into retention.dead_letter (policy, table_name, row_key, sql_state, state, next_attempt_at) values ('things', 'public.things', $1, '23503', $2, $3)`,
        [ids[i], state, later(days)],
      );
    }
    const all = await agrees(plain(), 12);
    expect(all[0]!.kept).toEqual({ held: 1, extended: 2, dead_letter: 2 });
  });

  it('puts what a shorter period takes on the day on which the cooling-off is over', async () => {
    await table();
    await e.db.sql(
      `insert into things (at) select $1::timestamptz - make_interval(days => i) from generate_series(1, 60) i`,
      [NOW],
    );
    await e.run(plain());
    const shorter = thingsPolicy({
      schedule: { run: '1 2 * * *' },
      rules: [{ label: 'all', keepFor: days(10) }],
    });
    await e.db.sql(
      `select retention.declare_version('things', 'next', reach, '{"all": 864000}', 'cron', '{}') from retention.policy_version`,
    );
    const all = await agrees(shorter, 10);
    const most = [...all].sort((a, b) => b.rows - a.rows)[0]!;
    expect([most.date, most.rows > 15]).toEqual(['2026-03-08', true]);
  });

  it('has nothing before a version that reaches other rows has cooled off', async () => {
    await table();
    await e.db.sql(
      `insert into things (at) select $1::timestamptz - make_interval(days => 31) from generate_series(1, 5)`,
      [NOW],
    );
    await e.run(plain());
    await e.db.sql(
      `insert into things (at) select $1::timestamptz - make_interval(days => 31) from generate_series(1, 5)`,
      [NOW],
    );
    await e.db.sql(
      `select retention.declare_version('things', 'next', 'other reach', '{"all": 2592000}', 'cron', '{}')`,
    );
    const other = thingsPolicy({ schedule: { run: '1 2 * * *' }, where: 'true' });
    await e.db.sql(`update retention.policy_version set superseded_at = $1 where version <> 'next'`, [NOW]);
    await e.db.sql(`update retention.policy_version set in_force_at = null where version = 'next'`);
    const all = await daysOf(other, 10);
    expect(all.filter((d) => d.rows > 0).map((d) => [d.date, d.rows])).toEqual([['2026-03-08', 5]]);
  });

  it('says "more than" behind its bound, and has looked at no more rows than that', async () => {
    await table();
    await e.db.sql(
      `insert into things (at) select $1::timestamptz - interval '31 days' - make_interval(secs => i) from generate_series(1, 60000) i`,
      [NOW],
    );
    await e.db.sql(
      `insert into things (at) select $1::timestamptz - interval '29 days 12 hours' - make_interval(secs => i) from generate_series(1, 20000) i`,
      [NOW],
    );
    await e.db.sql('vacuum analyze things');
    const all = await daysOf(plain(), 3);
    expect(all.map((d) => [d.rows, d.more])).toEqual([
      [RANGE_CAP, true],
      [RANGE_CAP, true],
      [0, false],
    ]);
    const policy = plain();
    const leg = (asOf: Date) => ({
      kind: 'rule' as const,
      rule: policy.rules[0]!,
      cutoff: new Date(asOf.getTime() - 30 * DAY * 1000).toISOString(),
    });
    const moment = (asOf: Date) => ({ policy, leg: leg(asOf), asOf: asOf.toISOString() });
    const span = comingUp({ before: moment(later(0)), at: moment(later(1)), most: 100 });
    const session = await e.db.session();
    await session.sql('set enable_seqscan = off; set enable_bitmapscan = off');
    const plan = await session.sql<{ 'QUERY PLAN': string }>(
      `explain (analyze, timing off, costs off) ${span.text}`,
      span.params,
    );
    session.end();
    const rows = plan.flatMap((r) =>
      [...r['QUERY PLAN'].matchAll(/actual rows=(\d+)/g)].map((m) => Number(m[1])),
    );
    expect(Math.max(...rows)).toBe(101);
  });
});

describe('the calendar of organizations', () => {
  it.each([1, 2, 3])(
    'agrees with the dry run whatever their tiers, overrides and holds: %i',
    async (seed) => {
      const roll = dice(seed * 7919);
      const policy = noticed({ notice: undefined, schedule: { run: '1 2 * * *' } });
      await organizations(e.db, policy);
      await e.db.sql(
        `insert into orgs (tier) select (array['free', 'pro', 'unheard of'])[1 + i % 3] from generate_series(1, 230) i`,
      );
      await e.db.sql(
        `insert into things (org, at) select o.id, $1::timestamptz - make_interval(secs => (20 + (hashtext(o.id::text || i) % 45)) * 86400 + i * 977) from orgs o, generate_series(1, 8) i`,
        [NOW],
      );
      const orgs = (await e.db.sql<{ id: string }>('select id::text from orgs order by id')).map((r) => r.id);
      const any = () => orgs[roll(orgs.length)]!;
      for (let i = 0; i < 10; i++) {
        await e.db.sql(`select retention.set_override('alice', 'x', 'things', $1, $2)`, [
          any(),
          [25, 33, 41, null][roll(4)] === null ? null : (25 + roll(20)) * DAY,
        ]);
        await e.db.sql(`select retention.place_hold('alice', 'x', 'organization', $1, null)`, [any()]);
        await e.db.sql(`update orgs set tier = 'free' where id = $1`, [any()]);
      }
      await e.db.sql(
        `select retention.observe_labels('things', array_agg(id::text), array_agg(tier)) from orgs`,
      );
      for (let i = 0; i < 5; i++) await e.db.sql(`update orgs set tier = 'free' where id = $1`, [any()]);
      await e.db.sql(
        `select retention.observe_labels('things', array_agg(id::text), array_agg(tier)) from orgs`,
      );
      await e.db.sql(
        `select retention.remove_override('alice', 'x', 'things', tenant) from (select tenant from retention.period_override limit 3) x`,
      );
      const all = await agrees(policy, 10);
      expect(all.reduce((n, d) => n + d.rows, 0)).toBeGreaterThan(50);
    },
  );

  it('names those with most rows, and can be asked for one', async () => {
    const policy = await organizations(e.db, noticed({ notice: undefined, schedule: { run: '1 2 * * *' } }));
    await ofOrganization(e.db, 'acme', [29.5, 29.4, 28.6], NOW);
    await ofOrganization(e.db, 'bolt', [29.5], NOW);
    const [, tomorrow] = await daysOf(policy, 3);
    expect(tomorrow).toMatchObject({
      rows: 3,
      organizations: [
        { organization: ORGS.acme, rows: 2 },
        { organization: ORGS.bolt, rows: 1 },
      ],
    });
    const [one] = await calendar(e.services, { ...asks(policy, 3), organization: ORGS.bolt });
    expect(one!.days.map((d) => d.rows)).toEqual([0, 1, 0]);
  });

  it('counts what waits for a notice where there is time to send one, and says where there is none', async () => {
    const policy = await organizations(e.db, noticed({ schedule: { run: '1 2 * * *' } }));
    await ofOrganization(e.db, 'acme', [35, 28, 20], NOW);
    const all = await daysOf(policy, 12);
    expect(all.flatMap((d) => (d.rows ? [[d.date, d.rows]] : []))).toEqual([['2026-03-11', 1]]);
    expect(all.flatMap((d) => (d.kept.unnoticed ? [[d.date, d.kept.unnoticed]] : []))).toEqual([
      ['2026-03-01', 1],
      ['2026-03-03', 1],
    ]);
    await told(e.db, 'acme', { delivered: later(-4), before: later(-25) });
    expect((await daysOf(policy, 12)).flatMap((d) => (d.rows ? [[d.date, d.rows]] : []))).toEqual([
      ['2026-03-05', 2],
      ['2026-03-11', 1],
    ]);
    expect(await found(policy, new Date('2026-03-05T02:01:00Z'))).toBe(2);
  });

  it('has nothing where there is no organization, and reaches the last of a full page of them', async () => {
    const policy = await organizations(e.db, noticed({ notice: undefined, schedule: { run: '1 2 * * *' } }));
    await e.db.sql('delete from orgs');
    expect((await daysOf(policy, 2)).map((d) => d.rows)).toEqual([0, 0]);
    await e.db.sql(`insert into orgs select gen_random_uuid() from generate_series(1, 100)`);
    await e.db.sql(`insert into things (org, at) select id, $1 from orgs`, [later(-40)]);
    expect((await daysOf(policy, 2)).map((d) => d.rows)).toEqual([100, 0]);
    await e.db.sql(`insert into orgs select gen_random_uuid() from generate_series(1, 150)`);
    await e.db.sql(`insert into things (org, at) select id, $1 from orgs`, [later(-41)]);
    const [first] = await daysOf(policy, 2);
    expect([first!.rows, first!.organizations.length, first!.organizations[0]!.rows]).toEqual([350, 10, 2]);
  });

  it('asks only about organizations with a row that is old enough, however many there are, and misses none', async () => {
    const policy = await organizations(e.db, noticed({ notice: undefined, schedule: { run: '1 2 * * *' } }));
    await e.db.sql(
      `insert into orgs (tier) select (array['free', 'pro'])[1 + i % 2] from generate_series(1, 400) i`,
    );
    await e.db.sql(
      `insert into things (org, at) select o.id, $1::timestamptz - make_interval(days => case when hashtext(o.id::text) % 20 = 0 then 45 else 2 end) from orgs o`,
      [NOW],
    );
    await e.db.sql(`insert into things (org, at) select org, $1 from things where org is not null limit 50`, [
      later(-1),
    ]);
    const old = (
      await e.db.sql<{ org: string }>(`select distinct org::text from things where at < $1 order by org`, [
        later(-25),
      ])
    ).map((r) => r.org);
    const moments = [0, 5].map((day) => ({
      policy,
      leg: legsOf(policy, later(day), 7 * DAY)[0]!,
      asOf: later(day).toISOString(),
    }));
    const seen: string[] = [];
    let behind: string | null = null;
    let pages = 0;
    for (let ended = false; !ended; pages += 1) {
      const page: { those: string[]; last: string | null; ended: boolean } = await askOne(
        e.services.database,
        tenantsOwing(moments, behind, 3, 40),
        { statementMs: 5_000, readOnly: true },
      );
      seen.push(...page.those);
      ({ last: behind, ended } = page);
    }
    expect([seen, pages > 5]).toEqual([old, true]);
    const database = counted(e.services.database);
    const [all] = await calendar({ ...e.services, database }, asks(policy, 3));
    expect(all!.days.map((d) => d.rows)).toEqual(await foundByDay(policy, all!.days));
    expect(database.requests).toBeLessThanOrEqual(3);
  });

  it('says when there was no time for all of them', async () => {
    const policy = await organizations(e.db, noticed({ notice: undefined }));
    await ofOrganization(e.db, 'acme', [40], NOW);
    const [cut] = await calendar(e.services, { ...asks(policy), inTime: () => false });
    expect(cut).toMatchObject({ complete: false });
  });
});

describe('GET /api/calendar', () => {
  const get = async (query = '', token: string = TOKENS.alice) => {
    const services = {
      ...e.services,
      policies: [noticed({ notice: undefined }), thingsPolicy({ name: 'others' })],
    };
    const answer = await calendarRoute(() => services)(
      new Request(`http://localhost/api/calendar${query}`, { headers: { authorization: `Bearer ${token}` } }),
    );
    return {
      status: answer.status,
      body: (await answer.json()) as Record<string, never> & { error: { field: string } },
    };
  };

  it('answers an operator, for one policy or all, and no one else', async () => {
    await organizations(e.db, noticed({ notice: undefined }));
    await e.db.sql('create index on things (at, id)');
    await ofOrganization(e.db, 'acme', [29.5], NOW);
    expect((await get('', 'a-secret-of-the-tests')).status).toBe(401);
    const { status, body } = await get('?policy=things&days=3');
    expect(status).toBe(200);
    expect(body).toMatchObject({
      from: NOW.toISOString(),
      days: 3,
      policies: [{ policy: 'things', complete: true }],
    });
    expect(((await get('?days=2')).body as unknown as { policies: unknown[] }).policies).toHaveLength(2);
    expect((await get(`?organization=${ORGS.acme}`)).status).toBe(200);
  });

  it.each([
    ['?days=0', 400, 'days'],
    ['?days=93', 400, 'days'],
    ['?day=3', 400, 'day'],
    ['?policy=nothing', 404, 'policy'],
    ['?organization=', 400, 'organization'],
    ['?organization=no-uuid', 422, 'organization'],
  ])('refuses %s with %i and names the field', async (query, status, field) => {
    await organizations(e.db, noticed({ notice: undefined }));
    const answer = await get(query);
    expect([answer.status, answer.body.error.field]).toEqual([status, field]);
  });
});
