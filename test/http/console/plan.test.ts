import { afterEach, beforeEach, expect, it } from 'vitest';
import { branchPlan } from '@/lib/http/console/plan';
import { inTurn } from '@/lib/platform/turn';
import { days, type Policy } from '@/lib/policies/contract';
import type { Services } from '@/lib/services';
import { DAY, type Engine, engine, govern, NOW, things, thingsPolicy } from '@/test/support/engine';

let e: Engine;
beforeEach(async () => {
  e = await engine({});
  await e.run(await govern(e.db, { rules: [{ label: 'all', keepFor: days(50) }] }));
  await things(e.db, [10 * DAY, 60 * DAY]);
});
afterEach(() => e.stop());

const kept = (n: number): Policy => thingsPolicy({ rules: [{ label: 'all', keepFor: days(n) }] });
const branch = (policy: Policy, more: Partial<Services> = {}): Services => ({
  ...e.services,
  policies: [policy],
  ...more,
});

it('tells what a branch changes, and that one changes nothing', async () => {
  expect(await branchPlan(branch(kept(5)))).toMatchObject({
    policies: 1,
    changes: [
      {
        ...{ policy: 'things', change: 'changed', problems: [] },
        sides: [{ field: 'period all', was: '50 days', is: '5 days' }],
        now: { rows: 1, more: false },
        ahead: { rows: 1, more: false },
      },
    ],
  });
  expect(await branchPlan(branch(kept(50)))).toMatchObject({ policies: 1, changes: [] });
});

it('counts no further than 20,000 rows, and says so', async () => {
  await e.db.sql(
    `insert into things (at) select $1::timestamptz - interval '20 days' - make_interval(secs => n) from generate_series(1, 21000) n`,
    [NOW.toISOString()],
  );
  const now = (await branchPlan(branch(kept(5))))?.changes[0]?.now;
  expect(now?.more).toBe(true);
  expect(now?.rows).toBeGreaterThan(10_000);
  expect(now?.rows).toBeLessThanOrEqual(21_001);
});

it('is made once in five minutes for everyone, for each branch by itself', async () => {
  let asked = 0;
  const database: Services['database'] = {
    ...e.services.database,
    transaction: (...given) => {
      asked += 1;
      return e.services.database.transaction(...given);
    },
  };
  const first = await branchPlan(branch(kept(5), { database }));
  const made = asked;
  expect(made).toBeGreaterThan(0);
  expect(await branchPlan(branch(kept(5), { database }))).toEqual(first);
  expect(asked).toBe(made);
  expect(await branchPlan(branch(kept(6), { database }))).not.toEqual(first);
  expect(asked).toBeGreaterThan(made);
  asked = 0;
  const later = () => new Date(NOW.getTime() + 301_000);
  await branchPlan(branch(kept(5), { database, clock: later }));
  expect(asked).toBe(made);
});

it('says that it could not be finished in time, and what it finds is there for who looks next', async () => {
  let open = () => {};
  const gate = new Promise<void>((done) => {
    open = done;
  });
  const database: Services['database'] = {
    ...e.services.database,
    transaction: async (...given) => {
      await gate;
      return e.services.database.transaction(...given);
    },
  };
  const s = branch(kept(5), { database });
  expect(await branchPlan(s, 50)).toBeNull();
  expect(await branchPlan(s, 50)).toBeNull();
  const next = branchPlan(s);
  open();
  expect(await next).toMatchObject({ policies: 1 });
});

it('is made one at a time: who looks meanwhile finds what the first one made', async () => {
  const second = await inTurn(e.services.redis, 'plan', 60_000, async () => branchPlan(branch(kept(5)), 50));
  expect(second).toMatchObject({ mine: true, result: null });
  const both = await Promise.all([branchPlan(branch(kept(5))), branchPlan(branch(kept(5)))]);
  expect(both[0]).toMatchObject({ policies: 1 });
  expect(both[1]).toEqual(both[0]);
});
