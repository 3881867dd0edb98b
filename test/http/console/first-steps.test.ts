import { afterEach, expect, it } from 'vitest';
import { runPolicy } from '@/lib/engine/run/run';
import { firstSteps } from '@/lib/http/console/first-steps';
import { testDatabase } from '../../support/database';
import { type Engine, engine, NOW, protect, runRequest } from '../../support/engine';

let e: Engine;
afterEach(() => e.stop());

const open = async (s: Engine['services']) => (await firstSteps(s))?.map((step) => step.done) ?? null;

it('a database that was never migrated is told to be', async () => {
  e = await engine({ db: await testDatabase({ empty: true }) });
  expect(await open(e.services)).toEqual([false, false, false, false]);
});

it('ticks off what has been done: the schema, a policy with its table, a dry run, and after a run nothing is left', async () => {
  e = await engine();
  const policy = e.services.policies.find((p) => p.name === 'magic-links')!;
  expect(await open({ ...e.services, policies: [] })).toEqual([true, false, false, false]);
  expect(await open(e.services)).toEqual([true, true, false, false]);
  await protect(e.db, policy);
  await runPolicy(e.services, policy, { ...runRequest(NOW), dryRun: true });
  expect(await open(e.services)).toEqual([true, true, true, false]);
  await runPolicy(e.services, policy, runRequest(NOW));
  expect(await firstSteps(e.services)).toBe(null);
});
