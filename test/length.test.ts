/** A function that grows beyond what one reads at a glance becomes a list of steps. */
import { expect, it } from 'vitest';
import { core, lineOf, nodes } from './support/syntax';

const LONGEST = 60;

it('no function of what is deployed is longer than 60 lines', () => {
  const long = core().flatMap((source) =>
    [...nodes(source.program)]
      .filter(([node]) => /Function/.test(node.type) && node.body)
      .map(([{ start, end }]) => [lineOf(source, start), lineOf(source, end)] as const)
      .filter(([first, last]) => last - first >= LONGEST)
      .map(([first, last]) => `${source.file}:${first} has ${last - first + 1} lines`),
  );
  expect(long).toEqual([]);
});
