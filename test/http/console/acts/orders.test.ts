import { afterEach, beforeEach, expect, it } from 'vitest';
import { money } from '@/lib/http/console/attention';
import {
  confirmRefundRoute,
  digestOfOrder,
  extendOrderRoute,
  refundRoute,
  resolveOrderRoute,
} from '@/lib/http/console/order-acts';
import { readOrder } from '@/lib/orders/list';
import { CONSOLE_ENV, form } from '@/test/support/console';
import { bound, chain, refusesStrangers, send } from '@/test/support/deciding';
import { type OrderWorld, orderWorld } from '@/test/support/orders';

let w: OrderWorld;
beforeEach(async () => {
  w = await orderWorld({ ...CONSOLE_ENV });
  await bound(w.db);
});
afterEach(() => w.stop());

const looked = async (order: string) => digestOfOrder((await readOrder(w.services, order))!);
const of = async (order: string, more = {}) => ({
  order,
  digest: await looked(order),
  reason: 'ticket 5',
  ...more,
});

it('an order is resolved by a person, once, and does not refund itself', async () => {
  const order = await w.order(23);
  const typed = await of(order, { decision: 'rejected' });
  await refusesStrangers(w.services, w.db, resolveOrderRoute, typed);
  const wrong = await send(w.services, resolveOrderRoute, 'otto', { ...typed, decision: 'perhaps' });
  expect(wrong).toMatchObject({ path: `/orders/${order}`, said: { done: false, field: 'decision' } });
  expect((await send(w.services, resolveOrderRoute, 'otto', typed)).said?.done).toBe(true);
  const again = await send(w.services, resolveOrderRoute, 'otto', typed);
  expect(again.said).toMatchObject({
    done: false,
    text: expect.stringContaining('the order is rejected now'),
  });
  w.pass(5 * 3600);
  await w.watch();
  expect(await w.intent(order)).toBeUndefined();
  expect(await chain(w.db)).toEqual(['order.resolved otto']);
});

it('an order is refunded now for the amount that was looked at, and for no other', async () => {
  const order = await w.order(2, { amount: 4_900 });
  expect(money((await readOrder(w.services, order))!)).toBe('49.00 EUR');
  const typed = await of(order);
  await w.db.sql('update orders set amount_cents = 9900 where id = $1', [order]);
  const stale = await send(w.services, refundRoute, 'otto', typed);
  expect(stale.said).toMatchObject({ done: false, text: expect.stringContaining('its amount changed') });
  await w.db.sql('update orders set amount_cents = 4900 where id = $1', [order]);
  await refusesStrangers(w.services, w.db, refundRoute, typed);
  expect((await send(w.services, refundRoute, 'otto', typed)).said?.text).toContain(
    'the next watch pays back',
  );
  expect((await send(w.services, refundRoute, 'otto', typed)).said?.done).toBe(false);
  await w.watch();
  expect(await w.intent(order)).toMatchObject({ state: 'succeeded', requested_by: 'otto' });
});

it('above the caps another person confirms it', async () => {
  const order = await w.order(2, { amount: 60_000_00 });
  const asked = await send(w.services, refundRoute, 'maria', await of(order));
  expect(asked.said).toMatchObject({ done: true, text: expect.stringContaining('another operator') });
  const typed = await of(order);
  await refusesStrangers(w.services, w.db, confirmRefundRoute, typed);
  expect(
    (await confirmRefundRoute(() => w.services).POST(await form(w.services, 'otto', typed))).status,
  ).toBe(403);
  const own = await send(w.services, confirmRefundRoute, 'maria', typed);
  expect(own.said).toMatchObject({ done: false, text: expect.stringContaining('another operator') });
  expect((await send(w.services, confirmRefundRoute, 'anna', typed)).said?.done).toBe(true);
  expect((await send(w.services, confirmRefundRoute, 'anna', typed)).said?.done).toBe(false);
  await w.watch();
  expect(await w.intent(order)).toMatchObject({ state: 'succeeded' });
});

it('a review is extended by a month at most', async () => {
  const order = await w.order(23);
  const until = (days: number) =>
    new Date(w.services.clock().getTime() + days * 86_400_000).toISOString().slice(0, 16);
  const typed = { order, until: until(3), reason: 'the bank asks' };
  await refusesStrangers(w.services, w.db, extendOrderRoute, typed);
  const late = await send(w.services, extendOrderRoute, 'otto', { ...typed, until: until(40) });
  expect(late.said).toMatchObject({ done: false, field: 'until', typed: { reason: 'the bank asks' } });
  expect((await send(w.services, extendOrderRoute, 'otto', typed)).said).toMatchObject({ done: true });
  expect((await send(w.services, extendOrderRoute, 'otto', typed)).said?.done).toBe(false);
  expect(await chain(w.db)).toEqual(['order.extended otto']);
  expect(
    (await send(w.services, refundRoute, 'otto', { order: 'x', digest: 'a'.repeat(64), reason: 'r' })).said
      ?.done,
  ).toBe(false);
});

it('an order is decided by any key that its column can hold, also a UUID of no version', async () => {
  const order = await w.order(23);
  const odd = '36525f49-498e-3554-68ca-6bb2d38ed573';
  await w.db.sql('update orders set id = $2::uuid where id = $1::uuid', [order, odd]);
  const typed = await of(odd, { decision: 'approved' });
  expect((await send(w.services, resolveOrderRoute, 'otto', typed)).said?.done).toBe(true);
  expect(await w.state(odd)).toMatchObject({ status: 'approved' });
});

it('amounts are written in the digits of their currency', () => {
  expect(money({ amount: 4_900, currency: 'jpy' })).toBe('4,900 JPY');
  expect(money({ amount: 123_456, currency: 'kwd' })).toBe('123.456 KWD');
  expect(money({ amount: null, currency: null })).toBe('of an unknown amount');
});
