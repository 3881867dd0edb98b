import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ordersRoute } from '@/lib/http/orders-route';
import { HOUR, type OrderWorld, orderWorld } from '@/test/support/orders';

let w: OrderWorld;
beforeEach(async () => {
  w = await orderWorld();
});
afterEach(() => w.stop());

const everything = async () =>
  JSON.stringify(
    await w.db.sql(`select (select jsonb_agg(to_jsonb(o)) from orders o), (select jsonb_agg(to_jsonb(i)) from retention.refund_intent i),
      (select count(*) from retention.audit_entry)`),
  );
const reason = 'looked at';

it('lists who is next with the time left, page by page', async () => {
  for (let i = 0; i < 103; i += 1) await w.order(1 + i / 10);
  const oldest = await w.order(20);
  const first = await w.list();
  expect(first.status).toBe(200);
  const body = first.body as unknown as {
    orders: Record<string, unknown>[];
    next: string;
    queue: Record<string, unknown>;
  };
  expect(body.orders).toHaveLength(100);
  expect(body.orders[0]).toMatchObject({
    order: oldest,
    seconds_left: 4 * HOUR,
    sla_status: 'warning',
    amount: 4_200,
  });
  expect(body.queue).toMatchObject({ inReview: 104, warning: 1 });
  const second = (await w.list(`?after=${encodeURIComponent(body.next)}`)).body as unknown as typeof body;
  expect(second.orders).toHaveLength(4);
  expect(second.next).toBeNull();
  expect(JSON.stringify(body)).not.toMatch(/user_id|email|pi_/);
});

it('lists what waits for a person, with the reason', async () => {
  const order = await w.order(25, { refuse: 'charge_disputed' });
  await w.watch();
  const { body } = await w.list('?list=manual');
  expect((body as unknown as { orders: unknown[] }).orders).toEqual([
    expect.objectContaining({
      order,
      state: 'manual',
      refused_because: 'charge_disputed',
      sla_status: 'breached',
    }),
  ]);
});

it('an order that was resolved is never paid back, and the audit names who and why', async () => {
  const order = await w.order(23);
  const answer = await w.act({ action: 'order.resolve', order, decision: 'rejected', reason });
  expect(answer.status).toBe(200);
  w.pass(5 * HOUR);
  expect((await w.watch()).claimed).toBe(0);
  const [entry] = await w.db.sql(
    'select actor, action, reason, detail from retention.audit_entry where subject = $1',
    [order],
  );
  expect(entry).toEqual({
    actor: 'alice',
    action: 'order.resolved',
    reason,
    detail: { decision: 'rejected', before: 'in_review' },
  });
  expect(await w.state(order)).toMatchObject({ status: 'rejected' });
});

it('the action refund pays back with the next watch, and only once', async () => {
  const order = await w.order(1, { amount: 40_000 });
  const first = await w.act({ action: 'order.refund', order, reason });
  expect(first).toMatchObject({ status: 200, body: { state: 'pending' } });
  expect((await w.act({ action: 'order.refund', order, reason }, 'bob')).status).toBe(409);
  expect((await w.watch()).refunded).toBe(1);
  expect(await w.intent(order)).toMatchObject({ requested_by: 'alice', state: 'succeeded' });
  expect((await w.act({ action: 'order.refund', order, reason })).status).toBe(409);
  expect(w.stripe.refunds.size).toBe(1);
});

it('above the caps one operator asks and another confirms; the audit chain records both', async () => {
  const order = await w.order(1, { amount: 90_000 });
  const asked = await w.act({ action: 'order.refund', order, reason });
  expect(asked).toMatchObject({ status: 200, body: { state: 'manual', refusedBecause: 'second_operator' } });
  expect((await w.watch()).refunded).toBe(0);
  const alone = await w.act({ action: 'order.confirm', order, reason });
  expect(alone).toMatchObject({ status: 403, body: { error: { code: 'second_person' } } });
  expect((await w.watch()).refunded).toBe(0);
  expect(await w.act({ action: 'order.confirm', order, reason: 'agreed' }, 'bob')).toMatchObject({
    status: 200,
    body: { state: 'pending' },
  });
  expect((await w.watch()).refunded).toBe(1);
  expect(await w.intent(order)).toMatchObject({
    requested_by: 'alice',
    confirmed_by: 'bob',
    state: 'succeeded',
  });
  expect((await w.act({ action: 'order.confirm', order, reason }, 'bob')).status).toBe(409);
  const entries = await w.db.sql(
    'select actor, action, reason from retention.audit_entry where subject = $1 order by n limit 2',
    [order],
  );
  expect(entries).toEqual([
    { actor: 'alice', action: 'refund.requested', reason },
    { actor: 'bob', action: 'refund.confirmed', reason: 'agreed' },
  ]);
  expect(w.stripe.refunds.size).toBe(1);
});

it('one operator is not enough beyond the sum of a day, nor in a currency without a cap', async () => {
  const eur = { one: 50_000, day: 50_000 };
  const changes = {
    settings: { ...w.services.settings, orders: { ...w.services.settings.orders, caps: { eur } } },
  };
  const ask = async (order: string) =>
    (await w.act({ action: 'order.refund', order, reason }, 'alice', changes)).body;
  expect(await ask(await w.order(1, { amount: 40_000 }))).toMatchObject({ state: 'pending' });
  expect(await ask(await w.order(1, { amount: 20_000 }))).toMatchObject({
    refusedBecause: 'second_operator',
  });
  expect(await ask(await w.order(1, { currency: 'usd' }))).toMatchObject({
    refusedBecause: 'second_operator',
  });
});

it('a refund that waits for its second operator may be resolved instead', async () => {
  const order = await w.order(1, { amount: 90_000 });
  await w.act({ action: 'order.refund', order, reason });
  const resolved = await w.act({ action: 'order.resolve', order, decision: 'approved', reason }, 'bob');
  expect(resolved.status).toBe(200);
  expect((await w.act({ action: 'order.confirm', order, reason }, 'bob')).status).toBe(409);
  expect(await w.intent(order)).toMatchObject({ state: 'closed' });
});

it('an extension to an earlier instant, written outside Lapse, shortens no review', async () => {
  const order = await w.order(2);
  await w.db.sql(
    "update orders set review_extended_until = review_started_at + interval '1 hour' where id = $1",
    [order],
  );
  const { body } = await w.list();
  expect((body as unknown as { orders: unknown[] }).orders).toEqual([
    expect.objectContaining({ order, seconds_left: 22 * HOUR, sla_status: 'within_sla' }),
  ]);
});

it('a person may refund or resolve an order of the manual queue; resolving closes the refund for good', async () => {
  const [again, kept] = [
    await w.order(25, { refuse: 'charge_disputed' }),
    await w.order(25, { amount: 70_000 }),
  ];
  expect((await w.watch()).toManual).toBe(2);
  w.stripe.pay(String((await w.state(again)).payment_intent_id), { amount: 4_200, currency: 'eur' });
  expect((await w.act({ action: 'order.refund', order: again, reason })).status).toBe(200);
  expect((await w.act({ action: 'order.resolve', order: kept, decision: 'approved', reason })).status).toBe(
    200,
  );
  expect((await w.watch()).refunded).toBe(1);
  expect((await w.intent(kept))?.state).toBe('closed');
  expect((await w.state(again)).status).toBe('refunded');
  expect((await w.state(kept)).status).toBe('approved');
});

it('an order put back into review after its refund is not refunded again', async () => {
  const order = await w.order(25);
  await w.watch();
  await w.db.sql("update orders set status = 'in_review' where id = $1", [order]);
  await w.watch();
  expect(w.stripe.refunds.size).toBe(1);
  expect((await w.state(order)).status).toBe('refunded');
  expect(await w.audit(order)).toContain('refund.known');
});

it.each([
  ['no action', {}, 400, 'unknown_action'],
  ['a name of the language', { action: 'constructor' }, 400, 'unknown_action'],
  ['no reason', { action: 'order.resolve', decision: 'approved' }, 400, 'bad_field'],
  ['a blank reason', { action: 'order.resolve', decision: 'approved', reason: ' ' }, 400, 'bad_field'],
  ['a decision that is none', { action: 'order.resolve', decision: 'refunded', reason }, 400, 'bad_field'],
  ['a confirmation of what nobody asked for', { action: 'order.confirm', reason }, 409, 'wrong_state'],
  ['a field too many', { action: 'order.refund', reason, amount: 1 }, 400, 'unknown_field'],
  ['an order that is no id', { action: 'order.refund', reason, order: "'; drop" }, 400, 'bad_field'],
  [
    'an order that is not there',
    { action: 'order.refund', reason, order: randomUUID() },
    404,
    'unknown_order',
  ],
  [
    'an extension without a zone',
    { action: 'order.extend', reason, until: '2026-03-02T00:00:00' },
    400,
    'bad_field',
  ],
  [
    'an extension into the past',
    { action: 'order.extend', reason, until: '2026-02-01T00:00:00Z' },
    422,
    'bad_extension',
  ],
  [
    'an extension of a year',
    { action: 'order.extend', reason, until: '2027-03-01T00:00:00Z' },
    422,
    'bad_extension',
  ],
  [
    'an extension that shortens',
    { action: 'order.extend', reason, until: '2026-03-01T03:00:00Z' },
    409,
    'wrong_state',
  ],
])('bad input is a 4xx that names why and changes nothing: %s', async (_, body, status, code) => {
  const order = await w.order(1);
  const before = await everything();
  const answer = await w.act({ order, ...body } as Record<string, unknown>);
  expect([answer.status, (answer.body.error as { code?: string } | undefined)?.code]).toEqual([status, code]);
  expect(await everything()).toBe(before);
});

it.each(['?list=all', '?after=yesterday', '?page=2'])(
  'a list that does not exist is refused: %s',
  async (query) => {
    expect((await w.list(query)).status).toBe(400);
  },
);

it('no request is admitted without an operator token, nor with the cron secret', async () => {
  for (const authorization of ['', 'Bearer a-secret-of-the-tests', 'Bearer someone-else-0123456789']) {
    const request = new Request('http://localhost/api/orders', { headers: { authorization } });
    expect((await ordersRoute(() => w.services).GET(request)).status).toBe(401);
  }
});

it('no refund can be requested in a preview deployment', async () => {
  const order = await w.order(1);
  const settings = { ...w.services.settings, dryRun: true };
  const response = await ordersRoute(() => ({ ...w.services, settings })).POST(
    new Request('http://localhost/api/orders', {
      method: 'POST',
      headers: { authorization: 'Bearer alice-token-0123456789', 'content-type': 'application/json' },
      body: JSON.stringify({ action: 'order.refund', order, reason }),
    }),
  );
  expect(response.status).toBe(409);
  expect((await w.state(order)).status).toBe('in_review');
});
