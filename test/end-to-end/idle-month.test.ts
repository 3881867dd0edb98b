/**
 * Days in which work arrives at random while all is idle, played by the real crons: no promise is missed. What was
 * promised is worked out here, from what the test itself did, and by nothing of Lapse.
 */
import { randomUUID } from 'node:crypto';
import { afterEach, expect, it, vi } from 'vitest';
import type { Called } from '@/lib/dev/bench/idle';
import { announceFiles } from '@/lib/files/announce';
import { cronPath } from '@/lib/platform/jobs';
import { HOUR, type IdleWorld, idleWorld, MINUTE, START } from '../support/idle';

/** TEST_IDLE_DAYS=30 plays a month, TEST_IDLE_SEED another one. */
const DAYS = Number(process.env.TEST_IDLE_DAYS ?? 8);
const SEED = Number(process.env.TEST_IDLE_SEED ?? 20_260_301);
/** From one call to the next, and the seconds within a minute at which it comes. */
const ORDER_TICK = 6 * MINUTE;
const FILES_TICK = 11 * MINUTE;
const SAFETY = 24 * HOUR;

let w: IdleWorld;
afterEach(async () => {
  vi.unstubAllEnvs();
  await w.stop();
});

/** Mulberry32: repeatable, from 0 to 1. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

interface Order {
  readonly id: string;
  readonly inserted: number;
  isExtended?: boolean;
  readonly started: number;
  deadline: number;
  resolvedAt: number | null;
}
interface Queued {
  readonly key: string;
  readonly at: number;
  /** Whether its maker announced it, as Lapse's own do. */
  readonly announced: boolean;
}

it(`no order is claimed later than five minutes after its deadline, and no file waits longer than ten, in ${DAYS} days of random work`, async () => {
  const random = seeded(SEED);
  w = await idleWorld();
  const orders: Order[] = [];
  const files: Queued[] = [];
  const lost: number[] = [];
  const moments = Array.from(
    { length: DAYS * 2 },
    () => START.getTime() + HOUR + random() * DAYS * 24 * HOUR,
  ).sort((a, b) => a - b);

  const enter = async (at: number, agoMs: number) => {
    const order = {
      id: randomUUID(),
      inserted: at,
      started: at - agoMs,
      deadline: at - agoMs + 24 * HOUR,
      resolvedAt: null,
    };
    orders.push(order);
    await w.db.sql(
      `insert into orders (id, status, amount_cents, currency, payment_intent_id, review_started_at)
       values ($1, 'in_review', 100, 'eur', $2, $3)`,
      [order.id, `pi_${order.id}`, new Date(order.started).toISOString()],
    );
  };
  const resolve = async (at: number) => {
    const one = orders.find((o) => o.resolvedAt === null && o.deadline > at);
    if (!one) return enter(at, 0);
    one.resolvedAt = at;
    await w.db.sql("update orders set status = 'approved' where id = $1 and status = 'in_review'", [one.id]);
  };
  const extend = async (at: number) => {
    const one = orders.find((o) => o.resolvedAt === null && o.deadline > at);
    if (!one) return enter(at, 0);
    one.deadline += 7 * HOUR;
    one.isExtended = true;
    await w.db.sql("update orders set review_extended_until = $2 where id = $1 and status = 'in_review'", [
      one.id,
      new Date(one.deadline).toISOString(),
    ]);
  };
  const queue = async (at: number, announced: boolean) => {
    const key = randomUUID();
    if (announced) await announceFiles(w.services.redis, new Date(at + random() * 4 * MINUTE));
    files.push({ key, at, announced });
    // A name that may not be deleted by is settled at once: handled is handled.
    await w.db.sql(
      `insert into retention.outbox (policy, table_name, row_key, url, prefix, next_attempt_at)
       values ('things', 'public.things', $1, 'elsewhere/' || $1, 'files/', $2)`,
      [key, new Date(at).toISOString()],
    );
  };
  const lose = async (at: number) => {
    lost.push(at);
    await w.redis("return redis.call('del', KEYS[1])");
  };
  const happens = async (at: number) => {
    const dice = random();
    // Whatever the dice say, Redis is lost at least once.
    const isOverdue = lost.length === 0 && at > START.getTime() + (DAYS * 24 * HOUR) / 2;
    if (isOverdue) await lose(at);
    else if (dice < 0.42) await enter(at, 0);
    else if (dice < 0.5) await enter(at, random() * 30 * HOUR);
    else if (dice < 0.58) await resolve(at);
    else if (dice < 0.66) await extend(at);
    else if (dice < 0.86) await queue(at, true);
    else if (dice < 0.92) await queue(at, false);
    else await lose(at);
  };

  const names = ['order-review-sla', 'blob-outbox', 'things'];
  const calls: Called[] = await w.play({
    crons: w.crons.filter((c) => names.some((n) => c.path === cronPath(n))),
    from: START,
    days: DAYS + 3,
    before: async (at) => {
      while (moments.length > 0 && moments[0]! <= at.getTime()) await happens(moments.shift()!);
    },
  });

  const claims = new Map(
    (
      await w.db.sql<{ order_key: string; at: Date }>(
        'select order_key, claimed_at as at from retention.refund_intent',
      )
    ).map((r) => [r.order_key, r.at.getTime()]),
  );
  const warned = new Map(
    (
      await w.db.sql<{ order_key: string; at: Date }>(
        "select order_key, min(taken_at) as at from retention.order_step where step = 'warning' group by 1",
      )
    ).map((r) => [r.order_key, r.at.getTime()]),
  );
  const late: string[] = [];
  let judged = 0;
  for (const o of orders) {
    const isOver = o.resolvedAt !== null && o.resolvedAt <= o.deadline;
    const claimed = claims.get(o.id);
    // Said to have begun earlier than it came: within the safety look of its coming.
    const isBackdated = o.inserted - o.started > 15 * MINUTE;
    const by = isBackdated ? Math.max(o.deadline, o.inserted + SAFETY) + ORDER_TICK : o.deadline + ORDER_TICK;
    if (isOver) {
      if (claimed !== undefined) late.push(`${o.id} was resolved and claimed all the same`);
      continue;
    }
    judged += 1;
    if (claimed === undefined || claimed < o.deadline || claimed > by) {
      late.push(
        `${o.id}: deadline ${new Date(o.deadline).toISOString()}, claimed ${claimed ? new Date(claimed).toISOString() : 'never'}`,
      );
    }
    const warnAt = warned.get(o.id);
    const warnBy = o.isExtended ? o.deadline : o.started + 0.8 * 24 * HOUR + ORDER_TICK;
    if (!isBackdated && (warnAt === undefined || warnAt > warnBy))
      late.push(`${o.id} was not warned about in time`);
  }
  expect(late).toEqual([]);
  expect(judged).toBeGreaterThan(DAYS / 4);

  const open = await w.db.sql<{ row_key: string }>(
    "select row_key from retention.outbox where state in ('pending', 'deleting')",
  );
  expect(open).toEqual([]);
  const settledAt = await w.db.sql<{ row_key: string; at: Date }>(
    'select row_key, next_attempt_at - make_interval(secs => 120) as at from retention.outbox',
  );
  for (const f of files) {
    const at = settledAt.find((s) => s.row_key === f.key)!.at.getTime();
    const by = f.announced ? f.at + FILES_TICK : f.at + SAFETY + FILES_TICK;
    expect(at, `${f.key}, queued ${new Date(f.at).toISOString()}`).toBeLessThanOrEqual(by);
  }
  expect(files.length).toBeGreaterThan(0);
  expect(lost.length).toBeGreaterThan(0);
  // And all this while the database slept most of the time.
  const idle = calls.filter((c) => c.postgres === 0).length;
  expect(calls.filter((c) => c.status !== 200)).toEqual([]);
  expect(idle / calls.length).toBeGreaterThan(0.4);
}, 600_000);
