/** How long the review queue is and how old: its latency is the age of its oldest order. Index look-ups, no scan of the orders. */
import { z } from 'zod';
import { oneRow, type Query, query } from '../platform/query';
import type { OrderSettings } from '../platform/settings/orders';
import { constant, raw, type Sql, sql, tableId } from '../platform/sql';
import type { OrderReview } from '../policies/order-contract';
import { column, reviewTimes } from './sql';

/** Counting stops here; a queue this long is an incident whatever its exact length. */
const MOST = 20_000;

const OrderQueue = z.object({
  inReview: z.number(),
  /** Past the warning, not yet breached. */
  warning: z.number(),
  breached: z.number(),
  oldestInReviewSeconds: z.number(),
  /** Claimed, and not confirmed by the provider. */
  refunding: z.number(),
  oldestRefundSeconds: z.number(),
  manual: z.number(),
  oldestManualSeconds: z.number(),
  /** In review with no start: they never breach, so a person has to see them. */
  withoutStart: z.number(),
});
export type OrderQueue = Readonly<z.infer<typeof OrderQueue>>;

export function queueQuery(review: OrderReview, s: OrderSettings, now: Date): Query<OrderQueue> {
  const { started, at } = reviewTimes(review, s);
  const instant = sql`${now.toISOString()}::timestamptz`;
  const isInReview = sql`${column(review, 'status')} = ${review.states.inReview}`;
  const age = (of: string): Sql =>
    sql`coalesce(greatest(extract(epoch from ${instant} - min(${raw(of)})), 0), 0)::float8`;
  return query(
    sql`select q.*, w.*, m.*, u.* from (
      select count(*)::int as "inReview", count(*) filter (where breach <= ${instant})::int as breached,
        count(*) filter (where warn <= ${instant} and breach > ${instant})::int as warning,
        ${age('started')} as "oldestInReviewSeconds"
      from (
        select ${started} as started, ${at(s.warningPercent)} as warn, ${at(s.breachPercent)} as breach
        from ${tableId(review.table)} t where ${isInReview} and ${started} is not null
        order by ${started} limit ${constant(MOST)}
      ) x
    ) q, (
      select count(*)::int as refunding, ${age('claimed_at')} as "oldestRefundSeconds"
      from retention.refund_intent where state in ('pending', 'submitted')
    ) w, (
      select count(*)::int as manual, ${age('claimed_at')} as "oldestManualSeconds"
      from retention.refund_intent where state = 'manual'
    ) m, (
      select count(*)::int as "withoutStart" from (
        select from ${tableId(review.table)} t where ${isInReview} and ${started} is null limit ${constant(MOST)}
      ) x
    ) u`,
    oneRow(OrderQueue),
  );
}
