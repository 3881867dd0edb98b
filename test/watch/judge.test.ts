import { expect, it } from 'vitest';
import { ORDER_JOB, OWN_JOBS } from '@/lib/platform/jobs';
import { policies } from '@/lib/policies';
import { allExpected, intervalOf } from '@/lib/watch/expected';
import { type Attendance, judge } from '@/lib/watch/judge';
import { REVIEW } from '@/test/support/order-review';

const nightly = {
  name: 'things',
  kind: 'policy' as const,
  schedule: '0 2 * * *',
  allowedSeconds: 240,
  latenessSeconds: 3_600,
};
const sla = { warningPercent: 80, criticalPercent: 100 };
const day = (d: number, time: string) => new Date(`2026-03-0${d}T${time}:00Z`);
const record = (changes: Partial<Attendance> = {}): Attendance => ({
  expectedSince: day(1, '00:00'),
  startedAt: day(1, '02:00'),
  finishedAt: day(1, '02:01'),
  workedAt: day(1, '02:00'),
  outcome: 'succeeded',
  reason: null,
  slaStatus: 'within_sla',
  stopped: null,
  ...changes,
});
const status = (now: Date, changes: Partial<Attendance> = {}) => judge(nightly, record(changes), now, sla);

it.each([
  ['02:47', 'on_time'],
  ['02:48', 'warning'],
  ['02:59', 'warning'],
  ['03:00', 'breached'],
  ['23:59', 'breached'],
])('a nightly run that did not come is at %s %s: 80 and 100 percent of an hour', (time, expected) => {
  expect(status(day(2, time)).status).toBe(expected);
});

it('a run a moment before its schedule stands for it, and one of yesterday does not', () => {
  expect(status(day(2, '04:00'), { workedAt: new Date('2026-03-02T01:59:30Z') }).status).toBe('on_time');
  expect(status(day(2, '04:00'), { workedAt: day(2, '01:00') }).status).toBe('breached');
});

it('what never ran is late from when it was first seen, not from the epoch', () => {
  const never = { startedAt: null, finishedAt: null, workedAt: null, outcome: null };
  expect(status(day(2, '12:00'), { ...never, expectedSince: day(2, '11:00') }).status).toBe('on_time');
  expect(status(day(3, '03:00'), { ...never, expectedSince: day(2, '11:00') })).toMatchObject({
    status: 'breached',
    symptoms: [
      { cause: 'run.late:things', severity: 'critical', message: expect.stringMatching(/never came/) },
    ],
  });
});

it.each(['paused', 'breaker', 'guarded', 'cooling'])(
  'a run that came and was skipped because it is %s is withheld, not missing, and says so',
  (reason) => {
    const verdict = status(day(2, '04:00'), { startedAt: day(2, '02:00'), outcome: 'skipped', reason });
    expect(verdict.status).toBe('withheld');
    expect(verdict.symptoms).toMatchObject([{ cause: 'run.withheld:things', severity: 'warning' }]);
  },
);

it('a stopped policy whose cron does not even start is withheld', () => {
  expect(status(day(2, '04:00'), { stopped: 'stopped' }).symptoms).toMatchObject([
    { message: expect.stringContaining('everything is stopped') },
  ]);
});

it('a run that comes and fails, or dies, is late and says which', () => {
  const failed = {
    startedAt: day(2, '02:00'),
    finishedAt: day(2, '02:01'),
    outcome: 'errored',
    reason: 'preflight',
  };
  expect(status(day(2, '04:00'), failed).symptoms[0]?.message).toMatch(/was errored \(preflight\)/);
  const died = { startedAt: day(2, '02:00') };
  expect(status(day(2, '04:00'), died).symptoms[0]?.message).toMatch(/never ended/);
});

it('a run that is still at work within its allowed duration is on time', () => {
  const often = { ...nightly, schedule: '*/5 * * * *', latenessSeconds: 150, allowedSeconds: 300 };
  const running = record({ startedAt: day(2, '02:00'), workedAt: day(2, '01:55') });
  const now = new Date('2026-03-02T02:04:00Z');
  expect(judge(often, running, now, sla).status).toBe('on_time');
  expect(judge({ ...often, allowedSeconds: 200 }, running, now, sla).status).toBe('breached');
});

it.each([
  ['warning', 'warning'],
  ['breached', 'critical'],
])('a run whose duration is %s is told as %s', (slaStatus, severity) => {
  expect(status(day(1, '03:00'), { slaStatus }).symptoms).toMatchObject([
    { cause: 'run.slow:things', severity },
  ]);
});

it('everything with a schedule is watched, and reported before its next run is due', () => {
  const all = allExpected({ policies, orderReview: REVIEW });
  expect(all.map((e) => e.name).sort()).toEqual(
    [...policies, ...OWN_JOBS, ORDER_JOB].map((x) => x.name).sort(),
  );
  // The watch looks every two minutes; run-watch itself is looked at by every other cron.
  for (const e of all.filter((x) => x.name !== 'run-watch')) {
    expect(e.latenessSeconds + 120, e.name).toBeLessThan(intervalOf(e.schedule));
  }
});
