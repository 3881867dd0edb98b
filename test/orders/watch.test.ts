import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Ending, type Intent, leaseIntents, settleIntents } from '@/lib/orders/intents';
import { orderReviewJob } from '@/lib/orders/job';
import type { RefundProvider } from '@/lib/orders/provider';
import { attemptRefund } from '@/lib/orders/refund';
import { watchOrders } from '@/lib/orders/watch';
import { createLog } from '@/lib/platform/log';
import { act } from '@/test/support/operators';
import { REVIEW } from '@/test/support/order-review';
import { HOUR, type OrderWorld, orderWorld } from '@/test/support/orders';

const INTENT: Intent = {
  id: randomUUID(),
  order_key: randomUUID(),
  payment: 'pi_1',
  amount: 4_200,
  currency: 'eur',
  key_generation: 1,
  refund_id: null,
  attempts: 1,
  requested_by: 'order-review-sla',
  confirmed_by: null,
  confirmation: null,
  over: null,
  fits: true,
};
const ENDING: Omit<Ending, 'id' | 'refund_id'> = {
  state: 'succeeded',
  refused_because: null,
  error_class: null,
  key_generation: 1,
  next_attempt_at: '2026-03-01T03:00:00Z',
  unanswered: false,
};

let w: OrderWorld;
beforeEach(async () => {
  w = await orderWorld();
});
afterEach(() => w.stop());

const capped = (caps: Record<string, { one: number; day: number }>) => ({
  settings: { ...w.services.settings, orders: { ...w.services.settings.orders, caps } },
});
const why = async (order: string) => (await w.intent(order))?.refused_because;
/** As a login of the app's role, or of the operators'. */
const forge = (text: string, params: (string | null)[] = [], database = w.services.database) =>
  database.transaction([{ text, params }], { timeoutMs: 10_000 });
const payment = async (order: string) => String((await w.state(order)).payment_intent_id);

describe('an order in review', () => {
  it('that escalates is reported once, to a role and without naming the order, and so is the end', async () => {
    const order = await w.order(20);
    await w.watch();
    await w.watch();
    const incidents = () =>
      w.db.sql(
        'select cause, severity, message, times, recovered_at is not null as over from retention.incident',
      );
    const [incident, ...others] = await incidents();
    expect(others).toEqual([]);
    expect(incident).toMatchObject({
      cause: 'order.escalated:warning',
      severity: 'warning',
      times: 1,
      over: false,
    });
    expect(incident?.message).toContain('for reviewers');
    expect(incident?.message).not.toContain(order);
    await w.act({ action: 'order.resolve', order, decision: 'approved', reason: 'fine' });
    await w.watch();
    expect((await incidents()).map((i) => i.over)).toEqual([true]);
  });

  it('is left alone before the warning, warned about once at 80 %, paid back once at 100 %', async () => {
    const [early, warned, breached] = [await w.order(19), await w.order(19.2), await w.order(24)];
    const first = await w.watch();
    expect(first).toMatchObject({ outcome: 'succeeded', claimed: 1, refunded: 1, toManual: 0 });
    expect(first.steps).toEqual({ warning: 1 });
    expect((await w.watch()).steps).toEqual({});
    expect(await w.audit(early)).toEqual([]);
    expect(await w.audit(warned)).toEqual(['order.escalated']);
    expect(await w.audit(breached)).toEqual(['refund.claimed', 'refund.succeeded']);
    expect(await w.state(breached)).toMatchObject({
      status: 'refunded',
      refund_id: expect.stringMatching(/^re_/),
    });
    expect(w.paidBack(await payment(breached))).toBe(4_200);
    expect(w.stripe.refunds.size).toBe(1);
  });

  it('is left alone one second before the breach, and paid back at the breach', async () => {
    const order = await w.order(24 - 1 / 3600);
    expect((await w.watch()).claimed).toBe(0);
    w.pass(1);
    expect((await w.watch()).refunded).toBe(1);
    expect((await w.state(order)).status).toBe('refunded');
  });

  it('whose clock is missing is never paid back', async () => {
    const order = await w.order(null);
    expect((await w.watch()).claimed).toBe(0);
    expect((await w.state(order)).status).toBe('in_review');
  });

  it('that was extended is warned about anew and paid back at its new deadline', async () => {
    const order = await w.order(23);
    await w.watch();
    const until = new Date(w.services.clock().getTime() + 10 * HOUR * 1000).toISOString();
    expect((await w.act({ action: 'order.extend', order, until, reason: 'waiting for papers' })).status).toBe(
      200,
    );
    w.pass(2 * HOUR);
    expect(await w.watch()).toMatchObject({ claimed: 0, steps: {} });
    w.pass(8 * HOUR - 1);
    expect(await w.watch()).toMatchObject({ claimed: 0, steps: { warning: 1 } });
    w.pass(1);
    expect((await w.watch()).refunded).toBe(1);
    expect(await w.audit(order)).toEqual([
      'order.escalated',
      'order.extended',
      'order.escalated',
      'refund.claimed',
      'refund.succeeded',
    ]);
  });

  it('that is still unsettled at 150 % is escalated further, once', async () => {
    const order = await w.order(24, { refuse: 'charge_disputed' });
    await w.watch();
    w.pass(12 * HOUR);
    expect((await w.watch()).steps).toEqual({ overdue: 1 });
    expect((await w.watch()).steps).toEqual({});
    expect(await w.audit(order)).toEqual(['refund.claimed', 'refund.refused', 'order.escalated']);
  });
});

describe('a refund that does not go smoothly', () => {
  it('is adopted when the answer was lost', async () => {
    const order = await w.order(25);
    w.stripe.setFaults((r) => (r.method === 'POST' ? { kind: 'drop-after' } : undefined));
    expect(await w.watch()).toMatchObject({ claimed: 1, refunded: 0, unsettled: 1 });
    w.stripe.setFaults(undefined);
    w.pass(300);
    expect((await w.watch()).refunded).toBe(1);
    expect(w.stripe.refunds.size).toBe(1);
    expect((await w.state(order)).status).toBe('refunded');
  });

  it('is found by its metadata when the answer was lost and the key has been pruned', async () => {
    await w.order(25);
    w.stripe.setFaults((r) => (r.method === 'POST' ? { kind: 'drop-after' } : undefined));
    await w.watch();
    w.stripe.setFaults(undefined);
    w.stripe.pruneKeys();
    w.pass(30 * HOUR);
    expect((await w.watch()).refunded).toBe(1);
    expect(w.stripe.refunds.size).toBe(1);
  });

  it.each([
    ['nothing was made', false, 1],
    ['it was made', true, 1],
  ])('is settled after Stripe failed inside and repeats its error, when %s', async (_, done, refunds) => {
    await w.order(25);
    let failed = false;
    w.stripe.setFaults((r) => {
      if (r.method !== 'POST' || failed) return undefined;
      failed = true;
      return { kind: 'error', done };
    });
    for (let i = 0; i < 4; i += 1) {
      await w.watch();
      w.pass(1_000);
    }
    expect(w.stripe.refunds.size).toBe(refunds);
    expect((await w.db.sql('select state from retention.refund_intent'))[0]?.state).toBe('succeeded');
  });

  it('waits for a late confirmation, and requests no second one', async () => {
    const order = await w.order(25);
    w.stripe.setFaults((r) => (r.method === 'POST' ? { kind: 'pending' } : undefined));
    expect((await w.watch()).submitted).toBe(1);
    expect((await w.state(order)).status).toBe('refunding');
    w.pass(400);
    expect((await w.watch()).submitted).toBe(1);
    w.stripe.confirm('succeeded');
    w.pass(4_000);
    expect((await w.watch()).refunded).toBe(1);
    expect(w.stripe.refunds.size).toBe(1);
  });

  it('goes to a person when Stripe fails it later', async () => {
    const order = await w.order(25);
    w.stripe.setFaults((r) => (r.method === 'POST' ? { kind: 'pending' } : undefined));
    await w.watch();
    w.stripe.confirm('failed');
    w.pass(400);
    expect((await w.watch()).toManual).toBe(1);
    expect(await w.state(order)).toMatchObject({ status: 'manual' });
    expect(await w.intent(order)).toMatchObject({ state: 'manual', refused_because: 'refund_failed' });
  });

  it('is tried again after a rate limit, and after Stripe was away', async () => {
    await w.order(25);
    w.stripe.setFaults(() => ({ kind: 'refuse', status: 429 }));
    expect(await w.watch()).toMatchObject({ outcome: 'succeeded', unsettled: 1 });
    w.stripe.setFaults(() => ({ kind: 'drop-before' }));
    w.pass(200);
    expect((await w.watch()).unsettled).toBe(1);
    w.stripe.setFaults(undefined);
    w.pass(600);
    expect((await w.watch()).refunded).toBe(1);
  });

  it('stops the watch, loses nothing, and says so, when the key is refused', async () => {
    await w.order(25);
    w.stripe.setFaults(() => ({ kind: 'refuse', status: 401 }));
    expect(await w.watch()).toMatchObject({ outcome: 'errored', reason: 'provider' });
    w.stripe.setFaults(undefined);
    w.pass(300);
    expect((await w.watch()).refunded).toBe(1);
  });

  it('that was made in the dashboard goes to a person, and no second one is requested', async () => {
    const order = await w.order(25);
    w.stripe.refundElsewhere(await payment(order), 1_000);
    expect((await w.watch()).toManual).toBe(1);
    expect(await w.intent(order)).toMatchObject({ refused_because: 'refunded_elsewhere' });
    expect(w.stripe.refunds.size).toBe(1);
  });
});

describe('caps', () => {
  it('a refund above the amount cap, without a payment, or refused by Stripe waits for a person', async () => {
    const [large, unpaid, disputed] = [
      await w.order(25, { amount: 50_001 }),
      await w.order(25, { payment: null }),
      await w.order(25, { refuse: 'charge_disputed' }),
    ];
    expect(await w.watch()).toMatchObject({ claimed: 3, refunded: 0, toManual: 3 });
    expect([await why(large), await why(unpaid), await why(disputed)]).toEqual([
      'amount_cap',
      'no_payment',
      'charge_disputed',
    ]);
    expect(w.stripe.refunds.size).toBe(0);
  });

  it('of a day also hold when two watches claim at once, and the rest waits for a person', async () => {
    const orders = await Promise.all(Array.from({ length: 12 }, () => w.order(25, { amount: 100_00 })));
    const services = capped({ eur: { one: 500_00, day: 500_00 } });
    await Promise.all([w.watch(services), w.watch(services)]);
    const states = await w.db.sql(
      'select state, refused_because, count(*)::int as n from retention.refund_intent group by 1, 2 order by 1',
    );
    expect(states).toEqual([
      { state: 'manual', refused_because: 'daily_cap', n: 7 },
      { state: 'succeeded', refused_because: null, n: 5 },
    ]);
    expect(orders).toHaveLength(12);
  });

  it('are those of the currency: another one that is not listed waits for a person', async () => {
    const [listed, unlisted] = [await w.order(25), await w.order(25, { currency: 'usd' })];
    expect(await w.watch()).toMatchObject({ refunded: 1, toManual: 1 });
    expect([await why(listed), await why(unlisted)]).toEqual([null, 'no_cap']);
    const third = await w.order(25, { currency: 'usd' });
    const both = { eur: { one: 50_000, day: 50_000 }, usd: { one: 4_200, day: 4_200 } };
    expect((await w.watch(capped(both))).refunded).toBe(1);
    expect(await why(third)).toBeNull();
  });

  it('of a day count what operators pay back too', async () => {
    const services = capped({ eur: { one: 5_000, day: 5_000 } });
    const [asked, late] = [await w.order(1), await w.order(25)];
    await w.act({ action: 'order.refund', order: asked, reason: 'asked for' }, 'alice', services);
    expect(await w.watch(services)).toMatchObject({ refunded: 1, toManual: 1 });
    expect([await why(asked), await why(late)]).toEqual([null, 'daily_cap']);
  });

  it('of a day do not count what went to a person', async () => {
    const services = capped({ eur: { one: 5_000, day: 5_000 } });
    const large = await w.order(26, { amount: 5_001 });
    expect(await w.watch(services)).toMatchObject({ toManual: 1 });
    const exactly = await w.order(25, { amount: 5_000 });
    expect(await w.watch(services)).toMatchObject({ refunded: 1, toManual: 0 });
    expect([await why(large), await why(exactly)]).toEqual(['amount_cap', null]);
  });

  it('hold again when the money moves: what was claimed under other caps goes to a person', async () => {
    const [order, paid] = [await w.order(25, { amount: 40_000 }), await w.order(25)];
    const claims = async (caps: string) =>
      forge(
        `select * from retention.claim_refunds(jsonb_build_array(jsonb_build_object('n', 1, 'order_key', $1::text, 'payment',
        $2::text, 'amount', 40000, 'currency', 'eur')), '${caps}', 'alice', 'because', $3::timestamptz, true, '[]')`,
        [order, await payment(order), w.services.clock().toISOString()],
        w.services.deciding,
      );
    await claims('{"eur": {"one": 99999999, "day": 99999999}}');
    await w.db.sql("update orders set status = 'refunding' where id = $1", [order]);
    expect(await w.watch(capped({ eur: { one: 5_000, day: 50_000 } }))).toMatchObject({
      refunded: 1,
      toManual: 1,
    });
    expect([await why(order), await why(paid)]).toEqual(['amount_cap', null]);
    expect(w.paidBack(await payment(order))).toBe(0);
  });

  it('without a key of Stripe every breach waits for a person', async () => {
    await w.order(25);
    const orders = { ...w.services.settings.orders, stripeKey: undefined };
    expect(await w.watch({ settings: { ...w.services.settings, orders } })).toMatchObject({ toManual: 1 });
  });
});

describe('at the same time', () => {
  it('two watches share the work and pay back each order once', async () => {
    const orders = await Promise.all(Array.from({ length: 60 }, () => w.order(25)));
    const [a, b] = await Promise.all([w.watch(), w.watch()]);
    expect((a?.refunded ?? 0) + (b?.refunded ?? 0)).toBe(60);
    expect(w.stripe.refunds.size).toBe(60);
    for (const order of orders.slice(0, 5)) expect((await w.state(order)).status).toBe('refunded');
  });

  it('an order resolved by an open transaction is not claimed, whichever way it ends', async () => {
    const order = await w.order(25);
    const session = await w.db.session();
    await session.sql('begin');
    await session.sql("update orders set status = 'approved', resolved_at = now() where id = $1", [order]);
    expect((await w.watch()).claimed).toBe(0);
    await session.sql('commit');
    expect((await w.watch()).claimed).toBe(0);
    expect(w.stripe.refunds.size).toBe(0);
    expect((await w.state(order)).status).toBe('approved');
  });

  it('a person resolving and a watch claiming in the same instant: exactly one of them wins', async () => {
    for (let i = 0; i < 15; i += 1) {
      const order = await w.order(25);
      const pay = await payment(order);
      const [watched, acted] = await Promise.all([
        w.watch(),
        w.act({ action: 'order.resolve', order, decision: 'approved', reason: 'looked at' }),
      ]);
      const { status } = await w.state(order);
      expect([watched.claimed, acted.status, status, w.paidBack(pay)]).toEqual(
        acted.status === 200 ? [0, 200, 'approved', 0] : [1, 409, 'refunded', 4_200],
      );
      // So that one second is not one minute's worth of requests of one operator.
      w.pass(60);
    }
  });

  it('a refund made by someone between our look and our request is recognized', async () => {
    const order = await w.order(25);
    w.stripe.onCreate(async (p) => {
      w.stripe.onCreate(undefined);
      w.stripe.refundElsewhere(p, 4_200);
    });
    await w.watch();
    w.pass(300);
    await w.watch();
    expect(await w.intent(order)).toMatchObject({ state: 'manual', refused_because: 'refunded_elsewhere' });
    expect(w.paidBack(await payment(order))).toBe(4_200);
  });
});

it('a dry run says what would happen and changes nothing', async () => {
  const order = await w.order(25);
  await w.order(20);
  const result = await w.watch({}, true);
  expect(result.message).toContain('[DRY RUN] 1 would be paid back, 1 would be warned about');
  expect(await w.audit(order)).toEqual([]);
  expect(w.stripe.requests()).toBe(0);
});

it('the latency of the queue is the age of its oldest order', async () => {
  await w.order(3);
  await w.order(7);
  await w.order(30, { refuse: 'charge_disputed' });
  const first = await w.watch();
  expect(first.queue).toMatchObject({ inReview: 2, oldestInReviewSeconds: 7 * HOUR, manual: 1 });
  w.pass(HOUR);
  expect((await w.watch()).queue).toMatchObject({
    oldestInReviewSeconds: 8 * HOUR,
    oldestManualSeconds: HOUR,
  });
});

describe('what was really paid', () => {
  it.each([
    ['another currency', { currency: 'jpy', paid: { currency: 'eur' } }, 'other_currency'],
    ['less', { paid: { amount: 4_100 } }, 'other_amount'],
    ['more', { paid: { amount: 4_300 } }, 'other_amount'],
  ])(
    'decides: %s than the order says goes to a person, and no money goes back',
    async (_, changes, because) => {
      const order = await w.order(25, changes);
      const caps = { eur: { one: 50_000, day: 50_000 }, jpy: { one: 50_000, day: 50_000 } };
      expect(await w.watch(capped(caps))).toMatchObject({ claimed: 1, refunded: 0, toManual: 1 });
      expect(await w.intent(order)).toMatchObject({ state: 'manual', refused_because: because });
      expect(w.stripe.refunds.size).toBe(0);
    },
  );

  it('by a payment the provider does not know goes to a person', async () => {
    const order = await w.order(25);
    await w.db.sql("update orders set payment_intent_id = 'pi_unknown' where id = $1", [order]);
    expect(await w.watch()).toMatchObject({ refunded: 0, toManual: 1 });
    expect(await why(order)).toBe('resource_missing');
  });

  it.each([
    ['amount', 'amount_cents = 4100'],
    ['payment', "payment_intent_id = 'pi_another'"],
    ['state', "status = 'approved'"],
  ])('an order whose %s has changed since it was claimed is not paid back', async (_, change) => {
    const order = await w.order(25);
    w.stripe.setFaults(() => ({ kind: 'refuse', status: 429 }));
    await w.watch();
    w.stripe.setFaults(undefined);
    await w.db.sql(`update orders set ${change} where id = $1`, [order]);
    w.pass(300);
    w.stripe.pay('pi_another', { amount: 4_200, currency: 'eur' });
    await w.watch();
    expect(await why(order)).toBe('order_changed');
    expect(w.stripe.refunds.size).toBe(0);
  });
});

describe('a stop', () => {
  const stop = (who: 'alice' | 'bob' = 'alice') =>
    act(w.services, who, { action: 'all.stop', reason: 'fire' });
  const resume = () => act(w.services, 'bob', { action: 'all.resume', reason: 'out' });

  it('of everything stops refunds: nothing is claimed, nothing claimed before is paid, and the watch says so', async () => {
    const claimed = await w.order(25);
    w.stripe.setFaults(() => ({ kind: 'refuse', status: 429 }));
    await w.watch();
    w.stripe.setFaults(undefined);
    const due = await w.order(25);
    expect((await stop()).status).toBe(200);
    w.pass(300);
    expect(await w.watch()).toMatchObject({ outcome: 'skipped', reason: 'stopped', claimed: 0, refunded: 0 });
    expect((await w.state(due)).status).toBe('in_review');
    expect((await w.state(claimed)).status).toBe('refunding');
    expect(w.stripe.refunds.size).toBe(0);
    const asked = await w.act({ action: 'order.refund', order: due, reason: 'now' });
    expect(asked).toMatchObject({ status: 409, body: { error: { code: 'stopped' } } });
    expect((await resume()).status).toBe(200);
    expect((await w.watch()).refunded).toBe(2);
  });

  it('of the order review alone does the same', async () => {
    await w.order(25);
    const pause = { action: 'policy.pause', policy: 'order-review-sla', reason: 'wrong prices' };
    expect((await act(w.services, 'alice', pause)).status).toBe(200);
    expect(await w.watch()).toMatchObject({ outcome: 'skipped', reason: 'paused', claimed: 0 });
    await act(w.services, 'bob', { ...pause, action: 'policy.resume' });
    expect((await w.watch()).refunded).toBe(1);
  });

  it('that has been answered is followed by no refund, however many were about to be made', async () => {
    for (let i = 0; i < 30; i += 1) await w.order(25);
    let made = 0;
    let stopping: Promise<number> | undefined;
    w.stripe.onCreate(async () => {
      made += 1;
      if (made !== 3) return;
      // In the middle of a request for money: the stop has to wait for it.
      let isAnswered = false;
      stopping = stop()
        .finally(() => {
          isAnswered = true;
        })
        .then(() => w.stripe.refunds.size);
      await stopWaits(() => isAnswered);
      expect(w.stripe.refunds.size).toBeLessThan(30);
    });
    const watched = await w.watch();
    const whenItAnswered = await stopping;
    expect(w.stripe.refunds.size).toBe(whenItAnswered);
    expect(whenItAnswered).toBeLessThan(30);
    expect(watched).toMatchObject({ outcome: 'skipped', reason: 'stopped' });
    w.stripe.onCreate(undefined);
    await resume();
    w.pass(300);
    await w.watch();
    expect(w.stripe.refunds.size).toBe(30);
  });

  /** Until the stop waits in its trigger for what is being asked. */
  async function stopWaits(isAnswered: () => boolean): Promise<void> {
    while (!isAnswered()) {
      const rows = await w.db.sql(
        "select from pg_stat_activity where datname = current_database() and state = 'active' and wait_event = 'PgSleep'",
      );
      if (rows.length > 0) return;
    }
  }
});

describe('what the app alone cannot do', () => {
  it('write an intent or a step, or change one', async () => {
    const rights = await w.db.sql(
      `select t || ' ' || r as x from unnest(array['retention.refund_intent', 'retention.order_step']) t,
         unnest(array['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) r
       where has_table_privilege('lapse_app', t, r) or (r in ('INSERT', 'UPDATE') and has_any_column_privilege('lapse_app', t, r))`,
    );
    expect(rights).toEqual([]);
  });

  it('change what an order is about, or when its review began', async () => {
    const order = await w.order(1);
    for (const change of [
      'amount_cents = 1',
      "currency = 'usd'",
      "payment_intent_id = 'pi_x'",
      'review_started_at = null',
    ]) {
      await expect(
        forge(`update orders set ${change} where id = $1::uuid`, [order]),
        change,
      ).rejects.toMatchObject({
        sqlState: '42501',
      });
    }
  });

  it('confirm a refund above the caps: it may not, and what an operator signs without the key goes to a person', async () => {
    const order = await w.order(25, { amount: 60_000 });
    await w.act({ action: 'order.refund', order, reason: 'asked for' });
    const id = String((await w.intent(order))?.id);
    const confirm = [
      "select * from retention.confirm_refund($1::uuid, 'bob', 'sure', $2::timestamptz, repeat('a', 64))",
      [id, w.services.clock().toISOString()],
    ] as [string, string[]];
    await expect(forge(...confirm)).rejects.toMatchObject({ sqlState: '42501' });
    await forge(...confirm, w.services.deciding);
    await w.db.sql("update orders set status = 'refunding' where id = $1", [order]);
    expect(await w.watch()).toMatchObject({ refunded: 0, toManual: 1 });
    expect(await why(order)).toBe('amount_cap');
  });
});

describe('one attempt', () => {
  it('has the idempotency key of its intent, whatever attempt it is', async () => {
    await w.order(25);
    const keys: (string | null)[] = [];
    let lost = true;
    w.stripe.setFaults((r) => {
      if (r.method !== 'POST') return undefined;
      keys.push(r.key);
      return lost ? { kind: 'drop-after' } : undefined;
    });
    expect((await w.watch()).unsettled).toBe(1);
    lost = false;
    w.pass(300);
    // What was made does not show in the next look: only the key is left to keep it one.
    w.stripe.hideRefunds(true);
    expect((await w.watch()).refunded).toBe(1);
    w.stripe.hideRefunds(false);
    expect(keys.length).toBeGreaterThan(1);
    expect(new Set(keys).size).toBe(1);
    expect(w.stripe.refunds.size).toBe(1);
  });

  it('sends nothing once its lease may belong to another watch', async () => {
    let asked = 0;
    const provider: RefundProvider = {
      payment: async () => ({ amount: 4_200, currency: 'eur' }),
      ofPayment: async () => [],
      retrieve: async () => Promise.reject(new Error('not asked for')),
      create: async () => {
        asked += 1;
        return { id: 're_1', state: 'succeeded', amount: 4_200, intent: null };
      },
    };
    const now = w.services.clock();
    const attempt = (leaseEnds: Date) =>
      attemptRefund(
        { provider, clock: () => now, leaseEnds, mayAsk: async () => null, agreed: false },
        INTENT,
      );
    expect(await attempt(now)).toMatchObject({ state: 'pending', error_class: 'lease_over' });
    expect(asked).toBe(0);
    expect(await attempt(new Date(now.getTime() + 1))).toMatchObject({ state: 'succeeded' });
  });

  it('counts only while the lease is its own', async () => {
    const order = await w.order(25);
    w.stripe.setFaults(() => ({ kind: 'refuse', status: 429 }));
    await w.watch();
    w.pass(300);
    const [first, second] = [randomUUID(), randomUUID()];
    const lease = async (token: string): Promise<Intent> => {
      const statement = leaseIntents(REVIEW, w.services.settings.orders.caps, {
        token,
        now: w.services.clock(),
        most: 10,
      });
      const [rows = []] = await w.services.database.transaction([statement], { timeoutMs: 10_000 });
      return statement.read(rows)[0]!;
    };
    const settle = (token: string, refund: string) =>
      w.services.database.transaction(
        [settleIntents(REVIEW, token, w.services.clock(), [{ ...ENDING, id: intent.id, refund_id: refund }])],
        { timeoutMs: 10_000 },
      );
    const intent = await lease(first);
    w.pass(61);
    await lease(second);
    expect(await settle(first, 're_first')).toEqual([[]]);
    expect(await settle(second, 're_second')).toMatchObject([[{ state: 'succeeded' }]]);
    expect(await w.intent(order)).toMatchObject({ refund_id: 're_second' });
    expect((await w.state(order)).refund_id).toBe('re_second');
  });
});

it('an order in review without a start is counted, logged and listed', async () => {
  const [order, dated] = [await w.order(null), await w.order(3)];
  const lines: string[] = [];
  const log = createLog({ level: 'warn', destination: { write: (line) => void lines.push(line) } });
  expect((await w.watch({ log })).queue).toMatchObject({ inReview: 1, withoutStart: 1 });
  expect(lines.map((l) => JSON.parse(l))).toMatchObject([{ event: 'order.without_start', orders: 1 }]);
  const listed = async (list: string) =>
    (((await w.list(`?list=${list}`)).body as unknown as { orders: { order: string }[] }).orders ?? []).map(
      (o) => o.order,
    );
  expect(await listed('without-start')).toEqual([order]);
  expect(await listed('in-review')).toEqual([dated]);
});

describe('where no payments can be made', () => {
  it('an operator is told which key is missing, and no order is claimed', async () => {
    const order = await w.order(3);
    const settings = {
      ...w.services.settings,
      orders: { ...w.services.settings.orders, stripeKey: undefined },
    };
    const answer = await w.act({ action: 'order.refund', order, reason: 'asked for' }, 'alice', { settings });
    expect([answer.status, answer.body.error]).toMatchObject([409, { code: 'no_provider' }]);
    expect(await w.intent(order)).toBeUndefined();
  });

  it('and no review is declared, the cron says so and asks nothing', async () => {
    const order = { correlationId: 'c', deadline: new Date(), dryRun: false, trigger: 'cron' } as const;
    expect(await orderReviewJob({ ...w.services, orderReview: undefined }, order)).toMatchObject({
      outcome: 'skipped',
      reason: 'not_declared',
    });
    expect(await orderReviewJob(w.services, { ...order, dryRun: true })).toMatchObject({
      outcome: 'succeeded',
    });
  });
});

it('out of time, what was claimed waits for the next watch, and is paid back once', async () => {
  const order = await w.order(25);
  const now = w.services.clock();
  const late = await watchOrders(w.services, {
    correlationId: 'c',
    deadline: new Date(now.getTime() + 1_000),
    dryRun: false,
    trigger: 'cron',
  });
  expect(late).toMatchObject({ outcome: 'interrupted', reason: 'time', refunded: 0 });
  expect(await w.watch()).toMatchObject({ refunded: 1 });
  expect((await w.intent(order))?.state).toBe('succeeded');
});
