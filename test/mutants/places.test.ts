/** The list of breakages fits the code: each place is there, once, and each test file exists. */
import { existsSync } from 'node:fs';
import { expect, it } from 'vitest';
import { mutants } from './index';
import { mutated } from './place';

it('every mutant’s place is where the list says', () => {
  // Where the example has been removed, the tests that ask it are gone with it.
  const isThere = (file: string) => existsSync(file) || !existsSync('lib/example');
  const moved = mutants.flatMap((m) => {
    try {
      mutated(m);
      return m.tests.length > 0 && m.tests.every((t) => isThere(t.split(':')[0]!))
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
