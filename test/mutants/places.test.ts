/** The list of breakages fits the code: each place is there, once, and each test file exists. */
import { existsSync } from 'node:fs';
import { expect, it } from 'vitest';
import { mutants } from './index';
import { mutated } from './place';

it('every mutant’s place is where the list says', () => {
  const moved = mutants.flatMap((m) => {
    try {
      mutated(m);
      return m.tests.length > 0 && m.tests.every((t) => existsSync(t.split(':')[0]!))
        ? []
        : [`${m.id}: ${m.tests}`];
    } catch (error) {
      return [(error as Error).message];
    }
  });
  expect(moved).toEqual([]);
});

it('every mutant has a number of its own', () => {
  const ids = mutants.map((m) => m.id);
  expect(ids.filter((id, i) => ids.indexOf(id) !== i)).toEqual([]);
});
