/** Rows of an archive come back in an order in which each finds what it refers to, whatever they refer to. */
import { expect, it } from 'vitest';
import { inOrder, withBelow } from '@/lib/engine/archive/graph';

const row = (id: string, ...above: string[]) => ({ id, above });
const names = (steps: { id: string }[][]) => steps.map((step) => step.map((r) => r.id).sort());

it('what a row refers to comes before it, and what lies below it right behind it', () => {
  const rows = [row('c', 'b'), row('b', 'a'), row('z'), row('a'), row('y', 'z')];
  expect(names(inOrder(rows))).toEqual([['z'], ['y'], ['a'], ['b'], ['c']]);
});

it('a row that refers to two waits for both, and one that refers to itself or to what is not there for none', () => {
  const rows = [row('both', 'a', 'b'), row('a', 'a'), row('b', 'gone', 'a')];
  expect(names(inOrder(rows))).toEqual([['a'], ['b'], ['both']]);
});

it('rows in a circle come together, those above them before, those below them behind', () => {
  const rows = [
    row('low', 'x'),
    row('x', 'y'),
    row('y', 'x', 'v'),
    row('v', 'w'),
    row('w', 'v', 'top'),
    row('top'),
  ];
  expect(names(inOrder(rows))).toEqual([['top'], ['v', 'w'], ['x', 'y'], ['low']]);
});

it('of any references every row comes once, behind all above it, and together with those in its circle only', () => {
  let state = 7;
  const next = (below: number) => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((state / 2_147_483_648) * below);
  };
  for (let graph = 0; graph < 200; graph += 1) {
    const size = 1 + next(9);
    const rows = Array.from({ length: size }, (_, i) =>
      row(String(i), ...Array.from({ length: next(3) }, () => String(next(size)))),
    );
    const steps = inOrder(rows);
    const at = new Map(steps.flatMap((step, i) => step.map((r) => [r.id, i] as const)));
    expect(at.size).toBe(size);
    expect(steps.flat()).toHaveLength(size);
    for (const r of rows) {
      for (const id of r.above) expect(at.get(id)!).toBeLessThanOrEqual(at.get(r.id)!);
      // Who comes with it lies below it and above it.
      const below = withBelow(rows, (one) => one.id === r.id);
      for (const other of steps[at.get(r.id)!]!) expect(below.has(other.id)).toBe(true);
    }
  }
});

it('what lies below rows ends where it may not follow', () => {
  const rows = [row('a'), row('b', 'a'), row('c', 'b'), row('d', 'a')];
  expect([...withBelow(rows, (r) => r.id === 'a')].sort()).toEqual(['a', 'b', 'c', 'd']);
  const found = withBelow(
    rows,
    (r) => r.id === 'a',
    (r) => r.id !== 'b',
  );
  expect([...found].sort()).toEqual(['a', 'd']);
});
