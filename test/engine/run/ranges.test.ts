import { expect, it } from 'vitest';
import { Ranges } from '@/lib/engine/run/ranges';

it('hands every block out once, whichever lane asks', () => {
  const ranges = new Ranges(3, 10);
  expect([ranges.take(4), ranges.take(4)]).toEqual([
    { from: 3, to: 7 },
    { from: 7, to: 10 },
  ]);
  expect(ranges.areOut).toBe(true);
});

it('resumes at the first block of the slowest lane', () => {
  const ranges = new Ranges(0, 100);
  const [slow, fast] = [ranges.take(10), ranges.take(10)];
  ranges.done(fast);
  expect(ranges.low).toBe(0);
  ranges.done(slow);
  expect(ranges.low).toBe(20);
});

it('hands out again what was only looked at, and does not resume behind it', () => {
  const ranges = new Ranges(0, 100);
  const ahead = ranges.take(40);
  const other = ranges.take(10);
  ranges.done(ahead, 25);
  ranges.done(other);
  expect(ranges.low).toBe(25);
  const again = ranges.take(10);
  expect(again).toEqual({ from: 25, to: 35 });
  expect(ranges.take(10)).toEqual({ from: 35, to: 40 });
  expect(ranges.take(1_000)).toEqual({ from: 50, to: 100 });
  expect(ranges.low).toBe(25);
});
