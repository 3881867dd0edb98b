/** Orders in review, where an order review is declared. */
import { queueQuery } from '../../orders/queue';
import type { Answers } from '../../platform/query';
import type { Services } from '../../services';
import type { Meters } from './meters';

export const orderQueries = ({ orderReview, settings, clock }: Services) => ({
  queue: orderReview ? queueQuery(orderReview, settings.orders, clock()) : undefined,
});

export function renderOrders(meters: Meters, { queue }: Answers<ReturnType<typeof orderQueries>>): void {
  if (!queue) return;
  const orders = meters.gauge('retention_orders', 'Orders by where they wait.', ['queue']);
  const age = meters.gauge('retention_orders_oldest_seconds', 'Age of the oldest order of each queue.', [
    'queue',
  ]);
  orders.set({ queue: 'in_review' }, queue.inReview);
  orders.set({ queue: 'warning' }, queue.warning);
  orders.set({ queue: 'breached' }, queue.breached);
  orders.set({ queue: 'refunding' }, queue.refunding);
  orders.set({ queue: 'manual' }, queue.manual);
  orders.set({ queue: 'without_start' }, queue.withoutStart);
  age.set({ queue: 'in_review' }, queue.oldestInReviewSeconds);
  age.set({ queue: 'refunding' }, queue.oldestRefundSeconds);
  age.set({ queue: 'manual' }, queue.oldestManualSeconds);
}
