import { expect, it } from 'vitest';
import { Deadline } from '@/lib/engine/run/deadline';

const NOW = Date.UTC(2026, 2, 1);

/** A run with a budget of so many milliseconds, of which `passed` are over. */
function deadline(budgetMs: number, passed = 0) {
  let now = NOW;
  const it = new Deadline(() => new Date(now), new Date(NOW + budgetMs));
  now += passed;
  return it;
}

it('keeps a second and a half for the end of a run, and of a short one a quarter', () => {
  expect(deadline(60_000).remaining()).toBe(58_500);
  expect(deadline(2_000).remaining()).toBe(1_500);
});

it('has no time for work that would reach into the end', () => {
  expect(deadline(60_000, 50_000).hasTime(8_499)).toBe(true);
  expect(deadline(60_000, 50_000).hasTime(8_500)).toBe(false);
  expect(deadline(60_000, 58_500).hasTime()).toBe(false);
});

it('gives a statement its usual time or what is left, but never too little to do anything', () => {
  expect(deadline(60_000).statementMs()).toBe(5_000);
  expect(deadline(60_000, 55_500).statementMs()).toBe(3_000);
  expect(deadline(60_000, 70_000).statementMs()).toBe(500);
  expect(deadline(60_000).statementMs(15_000)).toBe(15_000);
});

it('counts the seconds from the start, never backwards', () => {
  expect(deadline(60_000).seconds(new Date(NOW + 1_500))).toBe(1.5);
  expect(deadline(60_000).seconds(new Date(NOW - 1_500))).toBe(0);
});
