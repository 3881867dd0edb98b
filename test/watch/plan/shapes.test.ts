/** Every policy that ships, with its periods made shorter: what the plan says is what a run then deletes. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { examplePolicies } from '@/lib/example/policies';
import { seed } from '@/lib/example/seed';
import type { Policy } from '@/lib/policies/contract';
import { withDerived } from '@/lib/policies/derived';
import { makePlan } from '@/lib/watch/plan/plan';
import { databaseClock, type Engine, engine, NOW } from '../../support/engine';

let e: Engine;
beforeAll(async () => {
  e = await engine();
  await databaseClock(e.db, NOW);
  await seed(e.db.ownerUrl, { rows: 4_000, asOf: NOW });
});
afterAll(() => e?.stop());

/** A tenth of each period: somebody left out a digit. */
const aDigitShort = (policy: Policy): Policy => ({
  ...policy,
  rules: policy.rules.map((r) => {
    const seconds = r.keepFor.seconds === null ? null : Math.ceil(r.keepFor.seconds / 10);
    return { ...r, keepFor: { ...r.keepFor, seconds } };
  }),
});

const shipped = withDerived(examplePolicies);

it.each(shipped.map((p) => [p.name, p] as const))('%s: as planned', async (_, production) => {
  // One row, so that production has it on record, and most of what it may delete is still there.
  await e.run(production, { limit: 1 });
  const branch = aDigitShort(production);
  const plan = await makePlan(
    { ...e.services, policies: [branch], guards: e.services.settings.guards },
    { deadline: new Date(NOW.getTime() + 60_000), days: 30 },
  );
  const becomes = plan.policies[0]?.effect?.becomes?.now;
  expect(plan.policies[0]).toMatchObject({ change: 'changed', problems: [] });
  expect(becomes?.complete).toBe(true);

  expect((await e.run(production)).outcome).toBe('succeeded');
  const run = await e.run(branch);
  expect(run).toMatchObject({ outcome: 'succeeded', deleted: becomes?.rows, bytesFreed: becomes?.bytes });
  expect(becomes?.rows).toBeGreaterThan(0);
  const along = Object.values(becomes?.dependants ?? {}).reduce((sum, n) => sum + n, 0);
  expect(run.dependantsDeleted).toBe(along);
  expect(run.filesQueued).toBe(becomes?.files);
});
