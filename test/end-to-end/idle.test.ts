/** An idle database is not woken, and nothing that is to be done waits longer for it than was promised. */
import { randomUUID } from 'node:crypto';
import { afterEach, expect, it, vi } from 'vitest';
import { aDay, type Called } from '@/lib/dev/bench/idle';
import { announceFiles } from '@/lib/files/announce';
import { controlRoute } from '@/lib/http/operator-route';
import { OWN_WORK } from '@/lib/http/own-jobs';
import { reportIncidents } from '@/lib/platform/alerts/incidents';
import { cronPath, ORDER_JOB, OWN_JOBS } from '@/lib/platform/jobs';
import { readMetrics } from '@/lib/watch/metrics/read';
import { HOUR, type IdleWorld, idleWorld, MINUTE, START } from '../support/idle';
import { TOKENS } from '../support/operators';
import { REVIEW } from '../support/order-review';

let w: IdleWorld;
afterEach(async () => {
  vi.unstubAllEnvs();
  await w.stop();
});

const after = (ms: number, from: Date) => new Date(from.getTime() + ms);
/** The last hours of its first day look at everything once. */
const settled = async (env?: Record<string, string>) => {
  w = await idleWorld(env);
  await w.play({ days: 2 / 24, from: after(22 * HOUR, START) });
};
const asking = (calls: readonly Called[]) => calls.filter((c) => c.postgres > 0);
const minuteOf = ({ at }: Called) => at.toISOString().slice(11, 16);
const pathOf = ({ path }: Called) => path.slice(cronPath('').length);
const DAY_2 = after(24 * HOUR, START);

it('every job of its own that has a schedule is known to who would do it along with another', () => {
  const known = [...Object.keys(OWN_WORK), 'run-watch'].sort();
  w = { stop: async () => {} } as IdleWorld;
  expect([...OWN_JOBS, ORDER_JOB].map((j) => j.name).sort()).toEqual(known);
});

it.each([
  ['without orders in review', false, ['02:00 things']],
  // What enters review after 02:00 could be warned about from 21:15 on, give or take a quarter of an hour.
  ['and once for orders that may have entered review', true, ['02:00 things', '21:00 order-review-sla']],
])(
  "on an idle day PostgreSQL is asked at the policy's own schedule only, %s; every cron answers, and none is called late",
  async (_, orders, expected) => {
    w = await idleWorld({}, orders ? REVIEW : null);
    await w.play({ days: 1, from: START });
    const calls = await w.play({ days: 2 });
    expect(calls.filter((c) => c.status !== 200)).toEqual([]);
    expect([...new Set(asking(calls).map((c) => `${minuteOf(c)} ${pathOf(c)}`))]).toEqual(expected);
    expect(aDay(calls, 2)).toMatchObject({ wakeUps: expected.length });
    expect(new Set(calls.filter((c) => c.postgres === 0).map((c) => c.reason))).toEqual(new Set(['idle']));
    expect(await w.incidents()).toEqual([]);
    // Who came without asking is known wherever it is asked for.
    const { watch } = await readMetrics(w.services);
    const newest = after(3 * 24 * HOUR - 10 * MINUTE, START).getTime() / 1000;
    expect(watch!.watched.find((r) => r.name === 'blob-outbox')!.worked).toBeGreaterThanOrEqual(newest);
    expect(watch!.watched[0]!.looked).toBeGreaterThan(newest);
    expect(watch!.forecasts[0]!.measured).toBeGreaterThan(newest - 3_600);
  },
  180_000,
);

it('with the safety look set to 0 hours each call asks', async () => {
  w = await idleWorld({ LAPSE_SAFETY_LOOK_HOURS: '0' });
  const calls = await w.play({ days: 1 / 24, from: START });
  expect(calls.length).toBeGreaterThan(40);
  expect(calls.filter((c) => c.postgres === 0)).toEqual([]);
}, 120_000);

it.each([
  ['was flushed', "return redis.call('del', KEYS[1])"],
  ['is no hash', "redis.call('del', KEYS[1]) return redis.call('set', KEYS[1], 'x')"],
  [
    'holds garbage',
    "for _, f in ipairs(redis.call('hkeys', KEYS[1])) do redis.call('hset', KEYS[1], f, '{]') end return 1",
  ],
])(
  'Redis that %s: each job looks at its next call, none is called late, and a cron that stops is noticed',
  async (_, script) => {
    await settled();
    let isBroken = false;
    const broken = after(4 * HOUR, DAY_2);
    const calls = await w.play({
      days: 6 / 24,
      before: async (at) => {
        if (at < broken || isBroken) return;
        isBroken = true;
        await w.redis(script);
      },
      comes: (at, path) => at < after(HOUR, broken) || path !== cronPath('order-review-sla'),
    });
    const later = calls.filter((c) => c.at >= broken);
    for (const name of ['blob-outbox', 'order-review-sla', 'erasures', 'backlog', 'run-watch']) {
      const next = later.find((c) => pathOf(c) === name);
      expect(next?.postgres, name).toBeGreaterThan(0);
    }
    // Idle again once the last of them, ten minutes before the hour, has looked; until the one that stays away is missed.
    const between = later.filter(
      (c) => c.at > after(51 * MINUTE, broken) && c.at < after(60 * MINUTE, broken),
    );
    expect(asking(between)).toEqual([]);
    expect(await w.incidents()).toEqual(['run.late:order-review-sla']);
  },
  180_000,
);

it('without Redis each call looks, none is called late, and a cron that stops is noticed all the same', async () => {
  await settled();
  const away = after(4 * HOUR, DAY_2);
  const { redis } = w.services;
  let isAway = false;
  const real = redis.eval.bind(redis);
  vi.spyOn(redis, 'eval').mockImplementation((...a) =>
    isAway ? Promise.reject(new Error('away')) : real(...a),
  );
  const calls = await w.play({
    days: 6 / 24,
    before: (at) => {
      isAway = at >= away;
    },
    comes: (at, path) => at < after(30 * MINUTE, away) || path !== cronPath('blob-outbox'),
  });
  const later = calls.filter((c) => c.at >= away);
  expect(later.filter((c) => c.postgres === 0)).toEqual([]);
  expect(await w.incidents()).toEqual(['run.late:blob-outbox']);
}, 180_000);

it.each([
  ['order-review-sla', 9.5],
  ['run-watch', 5],
  ['blob-outbox', 17],
  ['erasures', 92],
])(
  'a cron that stops while all is idle is noticed as soon as ever: %s within %f minutes of its last call',
  async (name, minutes) => {
    await settled();
    const stops = after(4 * HOUR + 1 * MINUTE, DAY_2);
    let noticed: Date | null = null;
    let last = DAY_2;
    await w.play({
      days: 7 / 24,
      comes: (at, path) => at < stops || path !== cronPath(name),
      after: (called) => {
        if (pathOf(called) === name) last = called.at;
      },
      before: async (at) => {
        if (at < stops || noticed || at > after(2 * HOUR, stops)) return;
        const open = await w.db.sql<{ n: number }>('select count(*)::int as n from retention.incident');
        if (open[0]!.n > 0) noticed = at;
      },
    });
    expect(await w.incidents()).toEqual([`run.late:${name}`]);
    expect((noticed!.getTime() - last.getTime()) / MINUTE).toBeLessThan(minutes + 2);
  },
  180_000,
);

it('a nightly run that does not come is noticed, although the day before everything was idle', async () => {
  await settled();
  await w.play({ days: 0.3, comes: (_, path) => path !== cronPath('things') });
  expect(await w.incidents()).toEqual(['run.late:things']);
}, 120_000);

it('files queued by a run that died are handled by the next call of the outbox', async () => {
  await settled();
  const at = after(4 * HOUR + 3 * MINUTE, DAY_2);
  let isQueued = false;
  const calls = await w.play({
    days: 6.5 / 24,
    before: async (now) => {
      if (now < at || isQueued) return;
      isQueued = true;
      // As a run does: announced, committed, and then it dies.
      await announceFiles(w.services.redis, after(4 * MINUTE, now));
      await w.db.sql(
        `insert into retention.outbox (policy, table_name, row_key, url, prefix, next_attempt_at)
         values ('things', 'public.things', 'k', 'elsewhere/a.pdf', 'files/', $1)`,
        [now.toISOString()],
      );
    },
  });
  const handled = asking(calls).filter((c) => pathOf(c) === 'blob-outbox' && c.at >= at)[0]!;
  expect(minuteOf(handled)).toBe('04:10');
  // Its name may not be deleted by, which is said at once.
  expect(await w.db.sql('select state from retention.outbox')).toEqual([{ state: 'dead' }]);
}, 120_000);

it('an operator wakes every job: a stop is seen by the watch at once, and when it is over all is idle again', async () => {
  await settled();
  const post = (action: string, who: keyof typeof TOKENS) =>
    controlRoute(() => w.services).POST(
      new Request('http://localhost/api/control', {
        method: 'POST',
        headers: { authorization: `Bearer ${TOKENS[who]}`, 'content-type': 'application/json' },
        body: JSON.stringify({ action, reason: 'a test' }),
      }),
    );
  const [stops, resumes] = [after(12 * HOUR + MINUTE, DAY_2), after(13 * HOUR + MINUTE, DAY_2)];
  const done = { stop: false, resume: false };
  const calls = await w.play({
    days: 0.6,
    before: async (at) => {
      if (at >= stops && !done.stop) {
        done.stop = true;
        expect((await post('all.stop', 'alice')).status).toBe(200);
      }
      if (at >= resumes && !done.resume) {
        done.resume = true;
        expect((await post('all.resume', 'bob')).status).toBe(200);
      }
    },
  });
  const first = (name: string, from: Date) => calls.find((c) => pathOf(c) === name && c.at >= from)!;
  for (const from of [stops, resumes]) {
    for (const name of ['order-review-sla', 'run-watch']) {
      expect(first(name, from).postgres, `${name} after ${from.toISOString()}`).toBeGreaterThan(0);
    }
  }
  // By its own call, or along with another's.
  const [{ looked }] = (await w.db.sql<{ looked: Date }>(
    "select in_redis_since as looked from retention.watched where name = 'blob-outbox'",
  )) as [{ looked: Date }];
  expect(looked.getTime()).toBeGreaterThan(resumes.getTime());
  expect(asking(calls.filter((c) => c.at > after(HOUR, resumes)))).toEqual([]);
}, 120_000);

it('an alert of a process that died before it was sent is sent by the next watch', async () => {
  await settled({ SENTRY_DSN: 'http://public@127.0.0.1:1/1' });
  const at = after(4 * HOUR + MINUTE, DAY_2);
  let isRaised = false;
  await w.play({
    days: 4.5 / 24,
    before: async (now) => {
      if (now < at || isRaised) return;
      isRaised = true;
      const cause = 'guard.stopped:things';
      await reportIncidents(w.services, { wrong: [{ cause, severity: 'critical', message: 'a test' }] });
    },
  });
  const [alert] = await w.db.sql<{ attempts: number }>('select attempts from retention.alert');
  expect(alert?.attempts).toBeGreaterThan(0);
}, 120_000);

it('what was made by hand, and announced by nobody, is found by the safety look', async () => {
  await settled({ LAPSE_SAFETY_LOOK_HOURS: '6' });
  const at = after(6 * HOUR + 3 * MINUTE, DAY_2);
  let isMade = false;
  const order = randomUUID();
  const calls = await w.play({
    days: 0.6,
    before: async (now) => {
      if (now < at || isMade) return;
      isMade = true;
      // Said to have begun a day and an hour ago.
      await w.db.sql(
        `insert into orders (id, status, amount_cents, currency, payment_intent_id, review_started_at)
         values ($1, 'in_review', 100, 'eur', 'pi_x', $2)`,
        [order, after(-25 * HOUR, now).toISOString()],
      );
    },
  });
  const [intent] = await w.db.sql<{ claimed_at: Date }>(
    'select claimed_at from retention.refund_intent where order_key = $1',
    [order],
  );
  expect(intent!.claimed_at.getTime() - at.getTime()).toBeLessThan(6 * HOUR + 5 * MINUTE);
  expect(asking(calls).length).toBeLessThan(60);
}, 120_000);
