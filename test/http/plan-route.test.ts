import { afterEach, beforeEach, expect, it } from 'vitest';
import { planRoute } from '@/lib/http/plan-route';
import { inTurn } from '@/lib/platform/turn';
import { days } from '@/lib/policies/contract';
import type { Plan } from '@/lib/watch/plan/plan';
import { DAY, type Engine, engine, govern, things, thingsPolicy } from '../support/engine';
import { OPERATORS, TOKENS } from '../support/operators';

let e: Engine;
beforeEach(async () => {
  // A preview deployment: nothing deletes there, a plan needs nothing to.
  e = await engine({ env: { LAPSE_OPERATORS: OPERATORS } });
  await e.run(await govern(e.db, { rules: [{ label: 'all', keepFor: days(50) }] }));
  await things(e.db, [10 * DAY, 60 * DAY]);
});
afterEach(() => e.stop());

const get = (query = '', token: string = TOKENS.alice): Promise<Response> => {
  const policies = [thingsPolicy({ rules: [{ label: 'all', keepFor: days(5) }] })];
  const settings = { ...e.services.settings, production: false, dryRun: true, dryRunBecause: 'a preview' };
  return planRoute(() => ({ ...e.services, policies, settings }))(
    new Request(`http://localhost/api/plan${query}`, { headers: { authorization: `Bearer ${token}` } }),
  );
};

it('tells an operator what the branch of a preview deployment makes deletable', async () => {
  const answer = await get();
  expect(answer.status).toBe(200);
  const plan = (await answer.json()) as Plan;
  expect(plan.policies[0]).toMatchObject({ policy: 'things', change: 'changed' });
  expect(plan.policies[0]?.effect?.becomes?.now.rows).toBe(1);
  const words = await get('?format=markdown&days=7');
  expect(words.headers.get('content-type')).toContain('text/markdown');
  expect(await words.text()).toContain(
    '**1 row and 0 files become deletable because of it now, 1 row and 0 files within 7 days',
  );
});

it('refuses every other caller, and every unknown parameter', async () => {
  expect((await get('', 'a-secret-of-the-tests')).status).toBe(401);
  expect((await get('?days=0')).status).toBe(400);
  const unknown = await get('?policy=things');
  expect(unknown.status).toBe(400);
  expect(await unknown.json()).toMatchObject({ error: { field: 'policy' } });
});

it('counts one plan at a time, and says when to ask again', async () => {
  const turn = await inTurn(e.services.redis, 'plan', 60_000, () => get());
  const answer = turn.mine ? turn.result : null;
  expect(answer?.status).toBe(429);
  expect(await answer?.json()).toMatchObject({
    error: { code: 'one_at_a_time', message: expect.stringContaining('try again when it has ended') },
  });
  expect((await get()).status).toBe(200);
});
