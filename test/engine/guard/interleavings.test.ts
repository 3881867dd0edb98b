/** A hold placed while the batch that holds its rows is running. Ten thousand rounds of it: `npm run proof:holds`. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Engine, engine } from '@/test/support/engine';
import { interleave } from '@/test/support/interleave';

let e: Engine;
beforeEach(async () => {
  e = await engine();
});
afterEach(() => e.stop());

const ROUNDS = 40;

it('loses no held row, whenever it is placed', async () => {
  const seen = await interleave(e.db, e.services, { rounds: ROUNDS, seed: 20260301 });
  expect(seen.violations).toEqual([]);
  expect(seen.rounds).toBe(ROUNDS);
  expect(seen.holdsWithRowsLeft + seen.holdsTooLate).toBe(2 * ROUNDS);
  // Some holds came before their rows went, and some after.
  expect(seen.holdsWithRowsLeft).toBeGreaterThan(5);
  expect(seen.holdsTooLate).toBeGreaterThan(5);
});
