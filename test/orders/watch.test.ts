import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HOUR, type OrderWorld, orderWorld } from '@/test/support/orders';

let w: OrderWorld;
beforeEach(async () => {
  w = await orderWorld();
});
afterEach(() => w.stop());

const payment = async (order: string) => String((await w.state(order)).payment_intent_id);

describe('an order in review', () => {
  it('that escalates is told to somebody, once, by role and without naming it, and so is the end', async () => {
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

  it('waits for a late confirmation, and asks for no second one', async () => {
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

  it('that someone made in the dashboard goes to a person, and no second one is asked for', async () => {
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
    const why = async (o: string) => (await w.intent(o))?.refused_because;
    expect([await why(large), await why(unpaid), await why(disputed)]).toEqual([
      'amount_cap',
      'no_payment',
      'charge_disputed',
    ]);
    expect(w.stripe.refunds.size).toBe(0);
  });

  it('of a day hold also when two watches claim at once, and the rest waits for a person', async () => {
    const orders = await Promise.all(Array.from({ length: 12 }, () => w.order(25, { amount: 100_00 })));
    const services = {
      settings: { ...w.services.settings, orders: { ...w.services.settings.orders, dailyAmount: 500_00 } },
    };
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

  it('a refund made by someone between our look and our request is recognised', async () => {
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
