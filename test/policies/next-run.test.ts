import { expect, it } from 'vitest';
import { policies } from '@/lib/policies';
import { nextRun } from '@/lib/policies/next-run';

const next = (schedule: string, from = '2026-03-01T02:00:00Z') =>
  nextRun(schedule, new Date(from))?.toISOString().slice(0, 16) ?? null;

it.each([
  ['0 2 * * *', '2026-03-02T02:00'],
  ['30 2 * * *', '2026-03-01T02:30'],
  ['5 * * * *', '2026-03-01T02:05'],
  ['*/10 * * * *', '2026-03-01T02:10'],
  ['0 0 29 2 *', '2028-02-29T00:00'],
  ['0 3 * * 1', '2026-03-02T03:00'],
  ['0 3 * * 1-5', '2026-03-02T03:00'],
  ['15,45 1-3/2 1 1,7 *', '2026-07-01T01:15'],
  ['0 20/2 * * *', '2026-03-01T20:00'],
])('%s fires next at %s', (schedule, at) => expect(next(schedule)).toBe(at));

it('is never now, so that a run under way is not announced again', () => {
  expect(next('0 2 * * *', '2026-03-01T01:59:59.999Z')).toBe('2026-03-01T02:00');
  expect(next('0 2 * * *', '2026-03-01T02:00:00.000Z')).toBe('2026-03-02T02:00');
});

it('keeps to UTC over the change to summer time', () => {
  expect(next('30 2 * * *', '2026-03-28T03:00:00Z')).toBe('2026-03-29T02:30');
  expect(next('30 2 * * *', '2026-03-29T03:00:00Z')).toBe('2026-03-30T02:30');
});

it.each([
  '',
  '* * * *',
  '60 * * * *',
  '0 24 * * *',
  'MON * * * *',
  '5-1 * * * *',
  '*/0 * * * *',
  '0 0 31 2 *',
])('says that "%s" never fires', (schedule) => expect(next(schedule)).toBeNull());

it('reads every schedule that ships', () => {
  for (const policy of policies) {
    expect(next(policy.schedule.run)).not.toBeNull();
    if (policy.schedule.resume) expect(next(policy.schedule.resume)).not.toBeNull();
  }
});
