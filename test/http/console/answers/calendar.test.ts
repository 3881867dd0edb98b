import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { calendarFileRoute, DAYS, dayOf, monthOf } from '@/lib/http/console/calendar';
import type { Policy } from '@/lib/policies/contract';
import type { Services } from '@/lib/services';
import { calendar } from '@/lib/watch/calendar/calendar';
import { CONSOLE_ENV, cookieOf, type Staff } from '@/test/support/console';
import {
  DAY,
  databaseClock,
  type Engine,
  engine,
  govern,
  NOW,
  things,
  thingsPolicy,
} from '@/test/support/engine';
import { noticed, ORGS, ofOrganization, organizations, told } from '@/test/support/notices';

let e: Engine;
beforeEach(async () => {
  e = await engine({ env: CONSOLE_ENV });
  await databaseClock(e.db, NOW);
});
afterEach(() => e.stop());

const later = (days: number) => new Date(NOW.getTime() + days * DAY * 1000);
const using = (...policies: Policy[]): Services => ({ ...e.services, policies });

it('shows every day ahead with what the calendar of the API says of it, and who looked when', async () => {
  const s = using(await govern(e.db));
  await things(
    e.db,
    [40, 29, 28, 28, 27.5, 10].map((d) => d * DAY),
  );
  const month = await monthOf(s, {});
  const [api] = await calendar(s, { policies: s.policies, days: DAYS, inTime: () => true });
  expect(month.days).toHaveLength(DAYS);
  expect(month.days[0]?.date).toBe('2026-03-01');
  const shown = month.days.filter((d) => d.rows > 0).map((d) => [d.date, d.rows]);
  expect(shown).toEqual(api!.days.filter((d) => d.rows > 0).map((d) => [d.date, d.rows]));
  expect(shown.reduce((n, [, rows]) => n + Number(rows), 0)).toBe(6);
  expect(month).toMatchObject({ at: NOW.toISOString(), incomplete: [] });
});

it('is looked up once for everyone for a few minutes, and again when asked', async () => {
  const s = using(await govern(e.db));
  await things(e.db, [29 * DAY]);
  const sum = async (again = false, at = s) =>
    (await monthOf(at, { again })).days.reduce((n, d) => n + d.rows, 0);
  expect(await sum()).toBe(1);
  await things(e.db, [29 * DAY]);
  expect(await sum()).toBe(1);
  expect(await sum(true)).toBe(2);
  await things(e.db, [29 * DAY]);
  expect(await sum()).toBe(2);
  const later = { ...s, clock: () => new Date(NOW.getTime() + 301_000) };
  expect(await sum(false, later)).toBe(3);
  // Other policies than were looked up.
  expect((await monthOf({ ...s, policies: [thingsPolicy({ name: 'others' })] }, {})).days.length).toBe(DAYS);
  // Without Redis it is looked up each time.
  const gone = () => Promise.reject(new Error('away'));
  const redis = { ...s.redis, get: gone, eval: gone };
  expect(await sum(false, { ...s, redis })).toBe(3);
});

it('says what is extended, what was announced, and what is above the usual', async () => {
  await organizations(e.db);
  const policy = noticed({ schedule: { run: '1 2 * * *' } });
  const s = using(policy);
  const [kept] = await ofOrganization(e.db, 'acme', [20, 20, 20], NOW);
  await e.db.sql(
    `insert into retention.extension (table_name, row_key, keep_until, reason, extended_by) values ('public.things', $1, $2::timestamptz, 'asked', 'alice')`,
    [kept, later(90).toISOString()],
  );
  const day = async () => (await monthOf(s, { again: true })).days.find((d) => d.rows > 0)!;
  const going = await day();
  expect(going).toMatchObject({ rows: 2, extended: 1, unusual: false, told: [] });
  const before = new Date(`${going.date}T12:00:00Z`);
  await told(e.db, 'acme', { delivered: NOW, before });
  await told(e.db, 'bolt', { delivered: NOW, before, threshold: 1 });
  await told(e.db, 'bolt', { delivered: NOW, before });
  expect((await day()).told).toEqual([
    { date: going.date, days: 7, messages: 2 },
    { date: going.date, days: 1, messages: 1 },
  ]);
  // Five times the usual run, and more than a thousand.
  await e.db.sql(
    `insert into things (org, at) select $1, $2::timestamptz - interval '20 days' from generate_series(1, 1100)`,
    [ORGS.acme, NOW.toISOString()],
  );
  expect((await day()).unusual).toBe(false);
  await e.db.sql(`insert into retention.policy_state (policy) values ('things');
    insert into retention.run (id, policy, mode, trigger, actor, correlation_id, fence, policy_version, as_of, started_at, finished_at, outcome, deleted)
    values (gen_random_uuid(), 'things', 'delete', 'cron', 'cron', 'c', 1, 'v', now(), now(), now(), 'succeeded', 100)`);
  expect((await day()).unusual).toBe(true);
});

it('shows a day by organization, who was told and who was not, and of one organization alone', async () => {
  await organizations(e.db);
  const s = using(noticed({ schedule: { run: '1 2 * * *' } }));
  await ofOrganization(e.db, 'acme', [20, 20], NOW);
  await ofOrganization(e.db, 'bolt', [20], NOW);
  const date = (await monthOf(s, {})).days.find((d) => d.rows > 0)!.date;
  await told(e.db, 'acme', { delivered: NOW, before: new Date(`${date}T12:00:00Z`) });
  const [day] = await dayOf(s, { day: date });
  expect(day?.organizations.map((o) => o.rows)).toEqual([2, 1]);
  expect(day).toMatchObject({ byOrganization: true, told: { [ORGS.acme]: '2026-03-01T02:00:00Z' } });
  const [one] = await dayOf(s, { day: date, organization: ORGS.bolt });
  expect(one?.organizations).toEqual([{ organization: ORGS.bolt, rows: 1 }]);
  expect(one?.told).toEqual({});
  // The day alone is counted, and says what the whole calendar says of it.
  const [all] = await calendar(s, { policies: s.policies, days: DAYS, inTime: () => true });
  expect(all?.days.find((d) => d.date === date)).toMatchObject({
    rows: day?.rows,
    organizations: day?.organizations,
  });
});

it('refuses a day that is not ahead, a policy and an organization that there cannot be', async () => {
  await organizations(e.db);
  const s = using(noticed());
  await expect(dayOf(s, { day: '2020-01-01' })).rejects.toMatchObject({ status: 404, field: 'day' });
  await expect(dayOf(s, { day: 'soon' })).rejects.toMatchObject({ status: 404, field: 'day' });
  await expect(monthOf(s, { policy: 'none' })).rejects.toMatchObject({ status: 404, field: 'policy' });
  await expect(monthOf(s, { organization: 'x' })).rejects.toMatchObject({
    status: 422,
    field: 'organization',
  });
  expect((await monthOf(s, { organization: randomUUID() })).days.every((d) => d.rows === 0)).toBe(true);
});

it('is handed out as a file to every role', async () => {
  const s = using(await govern(e.db));
  await things(e.db, [29 * DAY]);
  const get = async (who: Staff | null, query: string) =>
    calendarFileRoute(() => s).GET(
      new Request(`http://lapse.test/calendar/download?${query}`, {
        headers: who ? { cookie: await cookieOf(s, who) } : {},
      }),
    );
  const text = await (await get('vera', '')).text();
  expect(text).toBe('date,policy,rows,more,extended,held\r\n2026-03-03,things,1,false,0,0\r\n');
  expect(await (await get('vera', 'day=2026-03-03')).text()).toContain('2026-03-03,things,,1,false,');
  expect((await get(null, '')).status).toBe(401);
});
