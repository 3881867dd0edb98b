/** Any declaration beside any other: what the plan says becomes deletable is what a run deletes after production's own. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runPolicy } from '@/lib/engine/run/run';
import { days, type Policy, type PolicyInput } from '@/lib/policies/contract';
import { makePlan } from '@/lib/watch/plan/plan';
import {
  DAY,
  databaseClock,
  type Engine,
  engine,
  govern,
  NOW,
  runRequest,
  thingsPolicy,
} from '../../support/engine';
import { dice } from '../../support/guarded';

let e: Engine;
beforeAll(async () => {
  e = await engine();
  await databaseClock(e.db, NOW);
  await govern(e.db);
  await e.db.sql('create index on things (note, at, id)');
});
afterAll(() => e?.stop());

const WHERE = [undefined, `t.note <> 'b'`, `t.note is not null`, `t.org is null or t.note = 'a'`, 'false'];

function anyPolicy(pick: (most: number) => number): Policy {
  const period = () => (pick(8) === 0 ? { seconds: null } : days(1 + pick(60)));
  const where = WHERE[pick(WHERE.length)];
  const rules: PolicyInput['rules'] =
    pick(2) === 0
      ? [{ label: 'all', keepFor: period() }]
      : ['a', 'b'].map((note) => ({ label: note, match: { note }, keepFor: period() }));
  return thingsPolicy({ rules, ...(where ? { where } : {}) });
}

/** 300 rows of every kind, some of them held by their organization or extended. */
async function fill(pick: (most: number) => number): Promise<void> {
  await e.db.sql('truncate things; delete from retention.hold; delete from retention.extension');
  await e.db.sql(
    `insert into things (at, note, org)
      select case when i % 31 = 0 then null else $1::timestamptz - make_interval(hours => i * 5) end,
        (array['a', 'b', null])[1 + (i + $2) % 3], case when i % 7 = 0 then '00000000-0000-4000-8000-000000000001'::uuid end
      from generate_series(0, 299) i`,
    [NOW.toISOString(), pick(3)],
  );
  if (pick(2) === 0) {
    await e.db.sql(`insert into retention.hold (scope, subject, reason, placed_by)
      values ('organization', '00000000-0000-4000-8000-000000000001', 'matter', 'alice')`);
  }
  await e.db.sql(`insert into retention.extension (table_name, row_key, keep_until, reason, extended_by)
    select 'public.things', id::text, timestamptz '2026-12-01', 'later', 'alice' from things where extract(hour from at)::int % 11 = 0`);
}

/** What all plans counted together. */
let becomes = 0;
let spared = 0;
let ahead = 0;
/** A few are enough to tell now from then. */
const NIGHTS = 6;

it.each([...Array(24).keys()])('plan %i is exact', async (seed) => {
  const pick = dice(seed);
  const [production, branch] = [anyPolicy(pick), anyPolicy(pick)];
  await e.db.sql('truncate things');
  await e.run(production);
  await fill(pick);
  const plan = await makePlan(
    { ...e.services, policies: [branch], guards: e.services.settings.guards },
    { deadline: new Date(NOW.getTime() + 60_000), days: 30 },
  );
  const effect = plan.policies[0]?.effect;
  becomes += effect?.becomes?.now.rows ?? 0;
  spared += effect?.spared?.now.rows ?? 0;
  const taken = async (policy: Policy) => (await e.run(policy)).deleted;
  const first = await taken(production);
  expect(await taken(branch)).toBe(effect?.becomes?.now.rows ?? 0);

  // The other way round, on the same rows.
  const again = dice(seed);
  anyPolicy(again);
  anyPolicy(again);
  await fill(again);
  const all = await taken(branch);
  expect(await taken(production)).toBe(effect?.spared?.now.rows ?? 0);
  expect(first - (effect?.spared?.now.rows ?? 0)).toBe(all - (effect?.becomes?.now.rows ?? 0));
});

it.each([...Array(8).keys()])('plan %i is exact some nights ahead', async (seed) => {
  const pick = dice(seed + 100);
  const [production, branch] = [anyPolicy(pick), anyPolicy(pick)];
  await e.db.sql('truncate things');
  await e.run(production);
  await fill(pick);
  const plan = await makePlan(
    { ...e.services, policies: [branch], guards: e.services.settings.guards },
    { deadline: new Date(NOW.getTime() + 60_000), days: NIGHTS },
  );
  const earlier = plan.policies[0]?.effect?.becomes?.ahead.rows ?? 0;
  ahead += earlier;
  // Production first, each night: what is left for the branch goes earlier than it would.
  let deleted = 0;
  for (let night = 0; night <= NIGHTS; night += 1) {
    const at = new Date(NOW.getTime() + night * DAY * 1000);
    await databaseClock(e.db, at);
    const then = { ...e.services, clock: () => at };
    await runPolicy(then, production, runRequest(at));
    deleted += (await runPolicy(then, branch, runRequest(at))).deleted;
  }
  await databaseClock(e.db, NOW);
  expect(deleted).toBe(earlier);
});

it('these plans are about something', () => {
  expect(becomes).toBeGreaterThan(300);
  expect(spared).toBeGreaterThan(300);
  expect(ahead).toBeGreaterThan(100);
});
