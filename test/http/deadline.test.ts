import { expect, it } from 'vitest';
import { deadlineOf } from '@/lib/http/deadline';

const start = new Date('2026-03-01T02:00:00Z');
const after = (...lower: (number | undefined)[]) =>
  (deadlineOf(start, 300, lower).getTime() - start.getTime()) / 1000;

it('keeps 15 seconds back from the function’s own time', () => expect(after()).toBe(285));
it('is lowered by a setting or a parameter, whichever is less', () => expect(after(60, 20)).toBe(20));
it('is never raised by them', () => expect(after(1800, undefined)).toBe(285));

it('obeys the deadline the platform gives, which counts from the function’s own start', () => {
  const context = Symbol.for('@vercel/request-context');
  const platform = globalThis as unknown as Record<symbol, unknown>;
  platform[context] = { get: () => ({ deadline: start.getTime() + 100_000 }) };
  try {
    expect(after()).toBe(85);
    expect(after(200)).toBe(85);
    expect(after(30)).toBe(30);
  } finally {
    delete platform[context];
  }
});
