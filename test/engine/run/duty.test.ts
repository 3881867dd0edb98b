import { expect, it } from 'vitest';
import { Duty } from '@/lib/engine/run/duty';

/** A second of five batches, each of them with these microseconds a row and this time for its commit. */
type Second = readonly [microsecondsARow: number, commitMs: number];
const well: Second = [10, 4];

/** The share after each second. */
function sharesOf(duty: Duty, ...seconds: readonly Second[]): number[] {
  let atMs = 0;
  return seconds.map(([microsecondsARow, commitMs]) => {
    for (let i = 0; i < 5; i += 1) {
      const statementMs = microsecondsARow * 2;
      duty.felt({ rows: 2_000, statementMs, wallMs: statementMs + commitMs }, atMs);
      atMs += 250;
    }
    return Math.round(duty.share * 100) / 100;
  });
}

it('begins at half of the time, grows by a tenth each second that is as good as the best, and stops at its limit', () => {
  expect(new Duty(0.8).share).toBe(0.5);
  expect(sharesOf(new Duty(0.8), well, [14, 5], well, well, well)).toEqual([0.6, 0.7, 0.8, 0.8, 0.8]);
  expect(sharesOf(new Duty(0.6), well, well)).toEqual([0.6, 0.6]);
});

it.each([
  ['its own rows take longer', [16, 4]],
  ['its commits take longer', [10, 6.5]],
] as const)('shrinks when %s in two seconds running, and never under a fifth', (_, slow) => {
  expect(sharesOf(new Duty(0.8), well, slow, slow)).toEqual([0.6, 0.6, 0.36]);
  expect(sharesOf(new Duty(0.8), well, slow, slow, slow, slow, slow, slow)).toEqual([
    0.6, 0.6, 0.36, 0.36, 0.22, 0.22, 0.2,
  ]);
});

it('is not made to shrink by one slow second, also not by one after another with a good one between', () => {
  const slow: Second = [30, 12];
  expect(sharesOf(new Duty(0.8), well, slow, well, slow, well)).toEqual([0.6, 0.6, 0.7, 0.7, 0.8]);
});

it('holds a second against the best of each, wherever in the run they were', () => {
  // 10 µs and 4 ms were never seen in the same second.
  expect(sharesOf(new Duty(0.8), [20, 4], [10, 5], [16, 4], [16, 4])).toEqual([0.6, 0.7, 0.7, 0.42]);
});

it('does not take smaller batches for slower ones, though each costs something whatever its size', () => {
  const duty = new Duty(0.8);
  for (let i = 0; i < 10; i += 1) {
    const rows = i < 5 ? 2_000 : 200;
    const statementMs = 4 + rows * 0.008;
    duty.felt({ rows, statementMs, wallMs: statementMs + 4 }, i * 250);
  }
  expect(duty.share).toBeCloseTo(0.7);
});

it('keeps to a lower limit that was set', () => {
  expect(new Duty(0.1).share).toBe(0.1);
  expect(sharesOf(new Duty(0.1), well, [30, 4], [30, 4])).toEqual([0.1, 0.1, 0.1]);
});

it('judges nothing by batches without rows, by fewer than three, or by what was felt before the others had gone', () => {
  const duty = new Duty(0.8);
  const batch = { rows: 2_000, statementMs: 20, wallMs: 24 };
  for (let ms = 0; ms < 10_000; ms += 250) duty.felt({ ...batch, rows: 0 }, ms);
  duty.felt(batch, 20_000);
  duty.felt(batch, 25_000);
  duty.pause();
  duty.felt(batch, 26_000);
  duty.felt(batch, 26_500);
  expect(duty.share).toBe(0.5);
  duty.felt(batch, 27_000);
  expect(duty.share).toBe(0.6);
});
