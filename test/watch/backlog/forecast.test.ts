import { expect, it } from 'vitest';
import { forecast, type Throughput } from '@/lib/watch/backlog/forecast';
import { NOW } from '../../support/engine';

const nightly: Throughput = {
  now: NOW,
  waiting: 70_000,
  secondsPast: 10 * 86_400,
  arrivalsPerDay: 50_000,
  drainedPerDay: 30_000,
  counted: { waiting: true, arrivals: true },
  schedules: ['15 2 * * *', '45 2 * * *'],
  latenessSeconds: 7_200,
};

it('what waits for no longer than its schedule and lateness allow is no backlog', () => {
  const allowed = 86_400 + 7_200;
  expect(forecast({ ...nightly, secondsPast: allowed }).verdict).toBe('clear');
  expect(forecast({ ...nightly, secondsPast: allowed + 1 }).verdict).toBe('never');
});

it('more than arrives is deleted: it says when it will have caught up', () => {
  expect(forecast({ ...nightly, drainedPerDay: 60_000 })).toEqual({
    verdict: 'catching_up',
    clearAt: new Date(NOW.getTime() + 7 * 86_400_000),
    advice: null,
  });
});

it.each([
  // 15,000 a run; 62,500 a day and a seventh of 70,000: five runs.
  [30_000, 'the schedule "15 */4 * * *" would'],
  // 1,000 a run: 73 runs.
  [2_000, 'the schedule "*/15 * * * *" would'],
  // 100 a run: 725 runs a day.
  [200, 'no schedule alone would'],
  [0, 'nothing was deleted lately'],
])('less than arrives is deleted (%s a day): %s', (drainedPerDay, advice) => {
  const seen = forecast({ ...nightly, drainedPerDay });
  expect(seen.verdict).toBe('never');
  expect(seen.advice).toContain(advice);
});

it('promises nothing against counts that stopped at their bound', () => {
  const gains = { ...nightly, drainedPerDay: 60_000 };
  expect(forecast({ ...gains, counted: { waiting: true, arrivals: false } }).verdict).toBe('unknown');
  expect(forecast({ ...gains, counted: { waiting: false, arrivals: true } }).clearAt).toBeNull();
  expect(forecast({ ...nightly, counted: { waiting: false, arrivals: false } }).verdict).toBe('never');
});

it('says nothing of the future before it has two days', () => {
  expect(forecast({ ...nightly, drainedPerDay: null }).verdict).toBe('unknown');
});
