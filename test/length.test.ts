/** Nobody has to hold a page of code in mind: a function that grows long becomes a list of steps. */
import { expect, it } from 'vitest';
import { core, lineOf, nodes } from './support/syntax';

const LONG = 60;
const LONGEST = 80;
const MOST_LONG = 3;

it('no function is longer than 80 lines, and at most three are longer than 60', () => {
  const long = core().flatMap((source) =>
    [...nodes(source.program)]
      .filter(([node]) => /Function/.test(node.type) && node.body)
      .map(([{ start, end }]) => ({
        at: `${source.file}:${lineOf(source, start)}`,
        lines: lineOf(source, end) - lineOf(source, start) + 1,
      }))
      .filter(({ lines }) => lines > LONG),
  );
  expect(long.filter(({ lines }) => lines > LONGEST)).toEqual([]);
  expect(long.length, long.map(({ at }) => at).join(', ')).toBeLessThanOrEqual(MOST_LONG);
});
