import { afterEach, beforeEach, expect, it } from 'vitest';
import { runPolicy } from '@/lib/engine/run/run';
import { holdOf } from '@/lib/http/console/lists';
import { whatIsReleased } from '@/lib/http/console/release';
import { counted } from '@/lib/platform/database';
import { days, type Policy } from '@/lib/policies/contract';
import {
  DAY,
  databaseClock,
  type Engine,
  engine,
  NOW,
  runRequest,
  thingsPolicy,
} from '../../../support/engine';
import { dice } from '../../../support/guarded';
import { noticed, organizations } from '../../../support/notices';

let e: Engine;
beforeEach(async () => {
  e = await engine({ env: { LAPSE_COOLING_OFF_DAYS: '7' } });
  await databaseClock(e.db, NOW);
});
afterEach(() => e.stop());

const byTier = (): Policy => noticed({ notice: undefined, scope: { organization: 'org', user: 'person' } });
const byRule = (): Policy =>
  thingsPolicy({
    rules: [{ label: 'all', keepFor: days(40) }],
    scope: { organization: 'org', user: 'person' },
  });

/** What a dry run finds now, by the policy itself. */
async function expired(policy: Policy): Promise<number> {
  const run = await runPolicy(e.services, policy, runRequest(NOW, { dryRun: true }));
  return run.preview!.expired;
}

const place = async (scope: string, subject: string, table: string | null = null): Promise<string> => {
  const [hold] = await e.db.sql<{ id: string }>(
    `select subject as id from retention.place_hold('alice', 'court', $1, $2, $3)`,
    [scope, subject, table],
  );
  return hold!.id;
};

it.each([
  ['organizations', byTier, 3],
  ['organizations', byTier, 11],
  ['rules', byRule, 5],
] as const)(
  'under a policy by %s what would be free is what the dry run finds more once the hold is gone',
  async (_, made, seed) => {
    const roll = dice(seed * 7919);
    const policy = made();
    await organizations(e.db, policy);
    await e.db.sql(
      `insert into orgs (tier) select (array['free', 'pro', 'unheard of'])[1 + i % 3] from generate_series(1, 20) i`,
    );
    await e.db.sql(
      `insert into things (org, person, at) select o.id, ('00000000-0000-4000-8000-00000000000' || (i % 3))::uuid,
        $1::timestamptz - make_interval(days => 20 + abs(hashtext(o.id::text || i)) % 60) from orgs o, generate_series(1, 9) i`,
      [NOW],
    );
    const things = await e.db.sql<{ id: string; org: string; person: string }>(
      `select id::text, org::text, person::text from things order by at, id`,
    );
    const s = { ...e.services, policies: [policy] };
    let found = 0;
    for (let i = 0; i < 6; i += 1) {
      const thing = things[roll(things.length)]!;
      const before = await expired(policy);
      const id = await [
        () => place('organization', thing.org),
        () => place('user', thing.person),
        () => place('item', thing.id, 'public.things'),
      ][i % 3]!();
      const [{ due, complete }, kept] = [
        await whatIsReleased(s, (await holdOf(s, id))!),
        await expired(policy),
      ];
      expect([due.reduce((n, d) => n + d.rows, 0), complete]).toEqual([before - kept, true]);
      found += before - kept;
      await e.db.sql(`select retention.release_hold('bob', 'settled', $1)`, [id]);
    }
    expect(found).toBeGreaterThan(10);
  },
);

it('takes as many requests for nine policies as for one, and says "at least" behind its bound', async () => {
  const policy = byRule();
  await organizations(e.db, policy);
  await e.db.sql(
    `insert into things (org, at) select (select id from orgs limit 1), $1 from generate_series(1, 1001)`,
    [new Date(NOW.getTime() - 50 * DAY * 1000)],
  );
  const [{ org }] = (await e.db.sql<{ org: string }>('select org::text from things limit 1')) as [
    { org: string },
  ];
  const hold = await holdOf(e.services, await place('organization', org));
  const asked = async (policies: readonly Policy[]) => {
    const database = counted(e.services.database);
    const released = await whatIsReleased({ ...e.services, database, policies }, hold!);
    return { ...released, requests: database.requests };
  };
  const one = await asked([policy]);
  expect(one).toMatchObject({ due: [{ policy: 'things', rows: 1_000 }], complete: false });
  const nine = await asked(Array.from({ length: 9 }, (_, i) => ({ ...policy, name: `things-${i}` })));
  expect([nine.due.length, nine.requests]).toEqual([9, one.requests]);
});
