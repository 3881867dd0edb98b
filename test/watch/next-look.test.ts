/** The laws of the next look: pure, with the clock passed in. */
import { describe, expect, it } from 'vitest';
import type { RunResult } from '@/lib/engine/run/result';
import { nextDrain } from '@/lib/files/drain';
import { nextScan } from '@/lib/files/reconcile/reconcile';
import { nextResume } from '@/lib/http/cron-route';
import { nextOrders } from '@/lib/orders/next-look';
import type { Policy } from '@/lib/policies/contract';
import type { OrderReview } from '@/lib/policies/order-contract';
import { nextErasure } from '@/lib/rights/erase';
import { untilBehind } from '@/lib/watch/backlog/forecast';
import { nextMeasure } from '@/lib/watch/backlog/watch-backlog';
import { untilOf } from '@/lib/watch/next-look';
import { looksToShare, nextWake } from '@/lib/watch/sharing';
import { thingsPolicy } from '../support/engine';
import { REVIEW } from '../support/order-review';

const HOUR = 3_600;
const looked = new Date('2026-03-01T02:00:03Z');
const later = (seconds: number, from = looked) => new Date(from.getTime() + seconds * 1000);
const iso = (at: Date | null) => at?.toISOString() ?? null;

describe('until when nothing is asked', () => {
  const until = (
    nextLook: Date | 'daily' | null | undefined,
    daily = '0 2 * * *',
    hours = 24,
    from = looked,
  ) => iso(untilOf(nextLook, { looked: from, daily, safetySeconds: hours * HOUR }));

  it('a job that declares nothing looks each time', () => {
    expect(until(undefined)).toBeNull();
  });

  it('an instant, or the safety look where that is earlier', () => {
    expect(until(later(60))).toBe(iso(later(60)));
    expect(until(later(25 * HOUR))).toBe(iso(later(24 * HOUR)));
    expect(until(null, '0 2 * * *', 6)).toBe(iso(later(6 * HOUR)));
  });

  it.each([
    ['at its own time', '2026-03-01T05:55:03Z', '2026-03-02T05:54:00.000Z'],
    ['a moment early', '2026-03-01T05:54:30Z', '2026-03-02T05:54:00.000Z'],
    ['brought forward by hours', '2026-03-01T02:00:03Z', '2026-03-02T05:54:00.000Z'],
    ['done late, by hand', '2026-03-01T17:00:00Z', '2026-03-02T05:54:00.000Z'],
    ['the evening before, it is of that day still', '2026-02-28T17:54:00Z', '2026-03-01T05:54:00.000Z'],
  ])('once a day, %s: then of the next day', (_, from, next) => {
    expect(until('daily', '55 5 * * *', 168, new Date(from))).toBe(next);
  });

  it('a schedule that never fires, or cannot be read, is none: the next call looks', () => {
    for (const schedule of ['', 'tomorrow', '0 0 31 2 *']) {
      expect(new Date(until('daily', schedule)!) <= looked).toBe(true);
    }
  });
});

it('the outbox looks when its next entry is due; stopped, paused and after all else it looks each time', () => {
  const next = (outcome: string, reason: string | null, state: { open: number; next_at?: string | null }) =>
    nextDrain({ outcome, reason } as never, state).nextLook;
  const due = '2026-03-01T02:10:00.000Z';
  expect(next('succeeded', null, { open: 0, next_at: null })).toBeNull();
  expect(next('succeeded', null, { open: 1, next_at: due })).toBeUndefined();
  expect(next('interrupted', 'waiting', { open: 3, next_at: due })).toEqual(new Date(due));
  expect(next('interrupted', 'waiting', { open: 3, next_at: null })).toBeUndefined();
  for (const [outcome, reason] of [
    ['interrupted', 'time'],
    ['interrupted', 'rate_limited'],
    ['skipped', 'stopped'],
    ['interrupted', 'paused'],
    ['skipped', 'dry_run'],
    ['skipped', 'locked'],
    ['errored', 'settings'],
  ] as const)
    expect(next(outcome, reason, { open: 0, next_at: due }), reason).toBeUndefined();
});

it('a scan is done for the day when it ended, or has been lately; where no row names a file there is none', () => {
  const next = (outcome: string, reason: string | null) => nextScan({ outcome, reason } as never).nextLook;
  expect(next('succeeded', null)).toBe('daily');
  expect(next('skipped', 'recent')).toBe('daily');
  expect(next('skipped', 'no_files')).toBeNull();
  expect(next('skipped', 'dry_run')).toBeUndefined();
  expect(next('interrupted', 'time')).toBeUndefined();
  expect(next('errored', 'settings')).toBeUndefined();
});

it('while an erasure is tried each call looks; with none there is nothing to try', () => {
  expect(nextErasure([]).nextLook).toBeNull();
  expect(nextErasure(['one']).nextLook).toBeUndefined();
});

describe('the backlog', () => {
  const rates = { schedules: ['0 2 * * *', '30 2 * * *'], latenessSeconds: 2 * HOUR, now: looked };

  it('cannot be behind before the interval and the lateness have passed since a run left nothing', () => {
    expect(untilBehind({ ...rates, sinceDrained: 0 })).toEqual(later(26 * HOUR));
    expect(untilBehind({ ...rates, sinceDrained: 25 * HOUR })).toEqual(later(HOUR));
    expect(untilBehind({ ...rates, sinceDrained: 26 * HOUR })).toBeNull();
    expect(untilBehind({ ...rates, sinceDrained: Number.POSITIVE_INFINITY })).toBeNull();
  });

  it('is looked at for the first policy that could be, and each time while one may be', () => {
    const next = (all: (Date | null)[], dryRun = false) =>
      nextMeasure(
        all.map((clearUntil) => ({ clearUntil })),
        { dryRun },
      ).nextLook;
    expect(next([later(9), later(5), later(7)])).toEqual(later(5));
    expect(next([later(9), null])).toBeUndefined();
    expect(next([])).toBeNull();
    expect(next([later(9)], true)).toBeUndefined();
  });
});

describe('the order watch', () => {
  const settings = { allowedSeconds: 24 * HOUR, warningPercent: 80, breachPercent: 100 } as never;
  const nothing = { step: null, attempt: null, many: false };
  const empty = { warning: 0, breached: 0 };
  const next = (coming: Partial<typeof nothing> | object = {}, queue = {}, review: OrderReview = REVIEW) =>
    nextOrders({ ...nothing, ...coming }, { ...empty, ...queue }, { looked, review, settings });

  it('an order that enters after the look cannot reach its warning before 80 % of its time, less a quarter of an hour', () => {
    expect(next()).toEqual(later(24 * HOUR * 0.8 - 900));
  });

  it('the earliest step of all counts, whatever it is called', () => {
    const early = { ...REVIEW, steps: [...REVIEW.steps, { name: 'half', at: 50, tell: ['reviewers'] }] };
    expect(next({}, {}, early)).toEqual(later(12 * HOUR - 900));
    const none = { ...REVIEW, steps: [{ name: 'b', at: 'breach' as const, tell: ['r'] }] };
    expect(next({}, {}, none)).toEqual(later(24 * HOUR - 900));
  });

  it('what is known to come earlier comes first: a step, or the next attempt at a refund', () => {
    expect(next({ step: later(60) })).toEqual(later(60));
    expect(next({ step: later(60), attempt: later(5) })).toEqual(later(5));
    // Due already: the next call looks.
    expect(next({ attempt: later(-5) })).toEqual(later(-5));
    expect(next({ step: later(23 * HOUR) })).toEqual(later(24 * HOUR * 0.8 - 900));
  });

  it('while one is past its warning or its deadline, or there are too many to read, each call looks', () => {
    expect(next({}, { warning: 1 })).toBeUndefined();
    expect(next({}, { breached: 1 })).toBeUndefined();
    expect(next({ many: true })).toBeUndefined();
  });
});

it('a resumption has nothing to do after a run that was drained, until the next of its own schedule', () => {
  const result = { outcome: 'succeeded', mode: 'delete', startedAt: '2026-03-01T02:00:03Z' } as RunResult;
  const next = (changes: Partial<RunResult>) => nextResume({ ...result, ...changes }, '0 2 * * *') ?? null;
  expect(next({})).toEqual(new Date('2026-03-02T02:00:00Z'));
  // By hand, just before: the run of that night is still to come.
  expect(next({ startedAt: '2026-03-01T01:59:59Z' })).toEqual(new Date('2026-03-01T02:00:00Z'));
  for (const outcome of ['interrupted', 'skipped', 'errored'] as const) expect(next({ outcome })).toBeNull();
  expect(next({ mode: 'dry_run' })).toBeNull();
  expect(next({ bounded: { by: 'rollout', rows: 10 } })).toBeNull();
});

describe('what is brought forward', () => {
  const job = (changes: object) => ({
    name: 'j',
    schedule: '35 * * * *',
    looked: later(-2 * HOUR),
    due: later(HOUR),
    ...changes,
  });
  const share = (changes: object, awakeAt = later(2 * HOUR)) =>
    looksToShare([job(changes)], looked, awakeAt).length === 1;

  it('a look that falls due before the database is woken anyway', () => {
    expect(share({})).toBe(true);
    expect(share({ due: later(-HOUR) })).toBe(true);
    expect(share({ due: later(2 * HOUR) })).toBe(false);
    expect(share({ due: later(2 * HOUR - 1) })).toBe(true);
  });

  it('not more often than its schedule has it, and not where only its own call can tell', () => {
    expect(share({ looked: later(-HOUR / 2) })).toBe(true);
    expect(share({ looked: later(-HOUR / 2 + 1) })).toBe(false);
    expect(share({ looked: null })).toBe(false);
  });

  it('the database is woken by the next schedule of a policy, a resumption not counted, or by the safety look', () => {
    const of = (run: string): Policy =>
      thingsPolicy({ name: `p${run.length}`, schedule: { run, resume: '30 2 * * *' } });
    expect(nextWake([of('0 2 * * *')], looked, 24 * HOUR)).toEqual(new Date('2026-03-02T02:00:00Z'));
    expect(nextWake([of('0 2 * * *'), of('15 4 * * 1')], looked, 48 * HOUR)).toEqual(
      new Date('2026-03-02T02:00:00Z'),
    );
    expect(nextWake([], looked, 24 * HOUR)).toEqual(later(24 * HOUR));
    expect(nextWake([of('0 0 1 1 *')], looked, 6 * HOUR)).toEqual(later(6 * HOUR));
  });
});
