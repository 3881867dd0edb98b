/** `npm run proof:levels`, small: trees go exactly while another session writes to them, at any level and at any statement of a batch. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { allCases, proveLevels, someCases } from '@/lib/dev/proof/levels/proof';
import type { Case } from '@/lib/dev/proof/levels/trial';
import { type World, world } from '@/lib/dev/proof/shapes/world';
import { type PrivateCloud, privateCloud } from '../support/cloud';

let cloud: PrivateCloud;
let here: World;
beforeAll(async () => {
  cloud = await privateCloud();
  here = await world(cloud);
});
afterAll(async () => {
  await here?.end();
  await cloud?.stop();
});

const prove = (cases: readonly Case[]) => proveLevels(here, cases, () => undefined);

it('whatever another session does, each row goes with all below it or stays, and is named once', async () => {
  const proof = await prove(someCases(20261122, 24));
  expect(proof.problems).toEqual([]);
  expect(proof.cases).toBe(24);
  // Some acts came before the batch had looked, and some had to wait for it.
  expect(proof.done).toBeGreaterThan(12);
  expect(proof.waited).toBeGreaterThan(6);
});

it('what somebody begins to refer to while its batch runs, and is declared to block, is stepped over', async () => {
  const cases = allCases().filter(
    (c) => c.kind === 'pins' && c.form === 'chain' && c.statement === 3 && [0, 2].includes(c.batch),
  );
  const proof = await prove(cases);
  expect(proof.problems).toEqual([]);
  expect(proof.done).toBeGreaterThan(6);
});

it('what comes below a locked row, or leaves it, before the batch has walked down, counts', async () => {
  const cases = allCases().filter(
    (c) =>
      ['note', 'version'].includes(c.level) &&
      ['inserts a held one', 'moves in a held one', 'moves out'].includes(c.kind) &&
      ['chain', 'folders'].includes(c.form) &&
      c.size === 'whole' &&
      [3, 4].includes(c.statement),
  );
  const proof = await prove(cases);
  expect(proof.problems).toEqual([]);
  expect(proof.cases).toBe(24);
});
