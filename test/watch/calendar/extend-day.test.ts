/** What the calendar shows of one organization on one day can be kept, exactly that, or none of it. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { days, type Policy } from '@/lib/policies/contract';
import { calendar } from '@/lib/watch/calendar/calendar';
import { comingDay, extendDay } from '@/lib/watch/calendar/extend-day';
import { DAY, databaseClock, type Engine, engine, NOW, protect, thingsPolicy } from '../../support/engine';
import { ORGS, ofOrganization, organizations } from '../../support/notices';
import { OPERATORS, TOKENS } from '../../support/operators';

let e: Engine;
beforeEach(async () => {
  e = await engine({ env: { LAPSE_OPERATORS: OPERATORS, LAPSE_COOLING_OFF_DAYS: '0' } });
  await databaseClock(e.db, NOW);
});
afterEach(() => e.stop());

const later = (n: number) => new Date(NOW.getTime() + n * DAY * 1000);
const as = (operator: keyof typeof TOKENS) => ({
  services: e.services,
  operator,
  token: TOKENS[operator],
  reason: 'ticket 81',
});

async function of(policy: Policy): Promise<void> {
  e = { ...e, services: { ...e.services, policies: [policy] } };
}

async function plain(): Promise<void> {
  await of(thingsPolicy({ schedule: { run: '1 2 * * *' } }));
  await e.db.sql(
    `create table things (id uuid primary key default gen_random_uuid(), at timestamptz, org uuid, person uuid, note text)`,
  );
  await e.db.sql('create index on things (at, id)');
  await e.db.sql('grant select, update, delete on things to lapse_app');
  await protect(e.db, e.services.policies[0]!);
}
const ACME = '0192aaaa-0000-4000-8000-000000000001';
const OTHER = '0192aaaa-0000-4000-8000-000000000002';
const put = async (org: string, age: number, rows = 1): Promise<string[]> =>
  (
    await e.db.sql<{ id: string }>(
      `insert into things (at, org) select $1::timestamptz + make_interval(secs => i), $2 from generate_series(1, $3::int) i returning id::text`,
      [later(-age), org, rows],
    )
  ).map((r) => r.id);
const shown = async (organization: string, day: string): Promise<number> => {
  const [found] = await calendar(e.services, {
    policies: e.services.policies,
    days: 5,
    organization,
    inTime: () => true,
  });
  return found!.days.find((d) => d.date === day)?.rows ?? 0;
};
const kept = async () =>
  (await e.db.sql<{ row_key: string }>('select row_key from retention.extension order by row_key')).map(
    (r) => r.row_key,
  );

it('keeps the rows of the day and of the organization, no other, each with an entry of the chain', async () => {
  await plain();
  const due = await put(ACME, 28.5, 3);
  await put(ACME, 27.5);
  await put(ACME, 31);
  await put(OTHER, 28.5);
  const day = '2026-03-03';
  const about = { policy: 'things', organization: ACME, day };
  const seen = await comingDay(e.services, about);
  expect(seen.keys.length).toBe(await shown(ACME, day));
  const keepUntil = later(60).toISOString();
  const done = await extendDay(as('alice'), { ...about, keepUntil, digest: seen.digest });
  expect(done.kept).toBe(3);
  expect(await kept()).toEqual(due.sort());
  expect(
    await e.db.sql(
      `select action, actor, reason, count(*)::int as n from retention.audit_entry group by 1, 2, 3`,
    ),
  ).toEqual([{ action: 'extension.set', actor: 'alice', reason: 'ticket 81', n: 3 }]);
  expect(await shown(ACME, day)).toBe(0);
  expect(await shown(OTHER, day)).toBe(1);
  await expect(extendDay(as('alice'), { ...about, keepUntil, digest: seen.digest })).rejects.toMatchObject({
    code: 'changed',
  });
});

it('to no later day than the one they are due on changes nothing, not even an extension of before', async () => {
  await plain();
  const [key] = await put(ACME, 40);
  const until = later(1).toISOString();
  await e.db.sql(
    `insert into retention.extension (table_name, row_key, keep_until, reason, extended_by) values ('public.things', $1, $2, 'x', 'bob')`,
    [key, until],
  );
  const about = { policy: 'things', organization: ACME, day: '2026-03-03' };
  const { digest } = await comingDay(e.services, about);
  await expect(
    extendDay(as('alice'), { ...about, keepUntil: later(0.5).toISOString(), digest }),
  ).rejects.toMatchObject({ status: 422, field: 'keepUntil' });
  expect(
    await e.db.sql('select keep_until = $1 as stays, extended_by from retention.extension', [until]),
  ).toEqual([{ stays: true, extended_by: 'bob' }]);
});

it('of a day with other rows than were looked at keeps none', async () => {
  await plain();
  await put(ACME, 28.5);
  const about = { policy: 'things', organization: ACME, day: '2026-03-03' };
  const { digest } = await comingDay(e.services, about);
  await put(ACME, 28.4);
  await expect(
    extendDay(as('alice'), { ...about, keepUntil: later(60).toISOString(), digest }),
  ).rejects.toMatchObject({ status: 409, code: 'changed' });
  expect(await kept()).toEqual([]);
});

it('refuses a day with more rows than one transaction should keep, one without a run, and one with nothing', async () => {
  await plain();
  await put(ACME, 28.5, 2_001);
  const about = { policy: 'things', organization: ACME, day: '2026-03-03' };
  const { more, digest } = await comingDay(e.services, about);
  expect(more).toBe(true);
  const keepUntil = later(60).toISOString();
  await expect(extendDay(as('alice'), { ...about, keepUntil, digest })).rejects.toMatchObject({
    code: 'too_many',
  });
  await expect(comingDay(e.services, { ...about, day: '2026-02-28' })).rejects.toMatchObject({
    code: 'no_run',
  });
  await expect(comingDay(e.services, { ...about, policy: 'others' })).rejects.toMatchObject({ status: 404 });
  const empty = { ...about, organization: OTHER };
  const nothing = await comingDay(e.services, empty);
  await expect(extendDay(as('alice'), { ...empty, keepUntil, digest: nothing.digest })).rejects.toMatchObject(
    {
      code: 'nothing_due',
    },
  );
  await of(thingsPolicy({ scope: {}, rules: [{ label: 'all', keepFor: days(30) }] }));
  await expect(comingDay(e.services, about)).rejects.toMatchObject({ code: 'no_tenants' });
});

it('of a policy by organizations keeps what the calendar shows for that one', async () => {
  const { notice: _, ...policy } = await organizations(e.db);
  await of({ ...policy, schedule: { run: '1 2 * * *' } } as Policy);
  const due = await ofOrganization(e.db, 'acme', [28.5, 28.4, 27.1], NOW);
  await ofOrganization(e.db, 'bolt', [28.5], NOW);
  const about = { policy: 'things', organization: ORGS.acme, day: '2026-03-03' };
  const seen = await comingDay(e.services, about);
  expect(seen.keys).toHaveLength(await shown(ORGS.acme, about.day));
  await extendDay(as('bob'), { ...about, keepUntil: later(60).toISOString(), digest: seen.digest });
  expect(await kept()).toEqual(due.slice(0, 2).sort());
});
