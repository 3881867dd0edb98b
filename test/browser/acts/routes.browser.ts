import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Console, openConsole } from '../support/console';
import { send, sendFromElsewhere } from '../support/send';
import { ACTS, actRoutes, OWN_TESTS } from '.';

let c: Console;
beforeAll(async () => {
  c = await openConsole();
});
afterAll(() => c?.stop());

/** The chain has an entry of whatever an operator changed. */
const entries = () => c.db.sql('select count(*)::int as n from retention.audit_entry');
const routes = actRoutes().filter((route) => !OWN_TESTS.includes(route));

it('every address of an act is one that these tests do by its own form', () => {
  expect(ACTS.map((a) => a.route).sort()).toEqual(routes.toSorted());
  expect(routes.length).toBeGreaterThan(30);
});

it('an empty form of another site is refused at every address, whoever is signed in', async () => {
  const before = await entries();
  const { page } = await c.as('alex');
  for (const route of routes) {
    const answer = await sendFromElsewhere(page, `${c.app.url}/acts/${route}`, {});
    expect([route, answer.status()]).toEqual([route, 403]);
  }
  expect(await entries()).toEqual(before);
});

it('an empty form leads back with what is missing, and changes nothing, at every address that asks for something', async () => {
  const { page } = await c.as('alex');
  const before = await entries();
  for (const route of routes.filter((r) => !['stop-all', 'resume-all'].includes(r))) {
    const answer = await send(page, `/acts/${route}`, {});
    expect([route, answer.status()]).toEqual([route, 303]);
  }
  expect(await entries()).toEqual(before);
});
