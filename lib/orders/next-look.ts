/**
 * The law of the order watch: when an order can next need it. Orders in review are the application's own: one that enters
 * after a look cannot reach its first step before that step's share of the time allowed has passed, so as far ahead as
 * that a look holds, and no further. One whose review is said to have begun earlier, or that is put back into review, is
 * seen by the safety look.
 */
import { z } from 'zod';
import type { NextLook } from '../platform/job';
import { oneRow, type Query, query } from '../platform/query';
import type { OrderSettings } from '../platform/settings/orders';
import { constant, type Sql, sql, tableId } from '../platform/sql';
import type { OrderReview } from '../policies/order-contract';
import type { OrderQueue } from './queue';
import { column, orderIs, percentOf, reviewTimes } from './sql';

/** A review that begins in a transaction before the look may be committed after it, and clocks differ. */
const UNSEEN_MS = 15 * 60_000;
/** More orders than this keep the watch awake anyway. */
const MOST = 20_000;

/** Of the orders that are known. */
const Coming = z.object({
  /** The next step any of them reaches. */
  step: z.coerce.date().nullable(),
  /** The next attempt at a refund. */
  attempt: z.coerce.date().nullable(),
  many: z.boolean(),
});
export type Coming = Readonly<z.infer<typeof Coming>>;

/** In percent of the time allowed. */
const momentsOf = (review: OrderReview, s: OrderSettings): number[] => [
  ...new Set([s.breachPercent, ...review.steps.map((step) => percentOf(step, s))]),
];

export function comingQuery(review: OrderReview, s: OrderSettings, now: Date): Query<Coming> {
  const { started, at } = reviewTimes(review, s);
  const instant = sql`${now.toISOString()}::timestamptz`;
  const earliest = (percents: readonly number[], of: Sql): Sql => {
    const moments = percents.map(
      (p) => sql`select min(${at(p)}) filter (where ${at(p)} > ${instant}) as moment, count(*) as n ${of}`,
    );
    return moments.reduce((all, one) => sql`${all} union all ${one}`);
  };
  const inReview = sql`from (select * from ${tableId(review.table)} t where ${column(review, 'status')} = ${review.states.inReview}
      and ${started} is not null limit ${constant(MOST + 1)}) t`;
  const refunding = sql`from (select * from retention.refund_intent where state in ('pending', 'submitted', 'manual')
      limit ${constant(MOST + 1)}) i join ${tableId(review.table)} t on ${orderIs(review, sql`i.order_key`)}`;
  const all = momentsOf(review, s);
  return query(
    sql`select min(x.moment) as step, coalesce(max(x.n) > ${constant(MOST)}, false) as many,
      (select min(greatest(next_attempt_at, leased_until)) from retention.refund_intent where state in ('pending', 'submitted')) as attempt
    from (${earliest(all, inReview)} union all ${earliest(all, refunding)}) x`,
    oneRow(Coming),
  );
}

/** `looked`: when the look began. Undefined: the next call looks. */
export function nextOrders(
  coming: Coming,
  queue: Pick<OrderQueue, 'warning' | 'breached'>,
  at: { readonly looked: Date; readonly review: OrderReview; readonly settings: OrderSettings },
): NextLook | undefined {
  // The application itself may end a review that has been escalated, or that a stop keeps from being claimed: seen at once.
  if (queue.warning + queue.breached > 0 || coming.many) return undefined;
  const share = Math.min(...momentsOf(at.review, at.settings)) / 100;
  const unseen = at.looked.getTime() + at.settings.allowedSeconds * share * 1000 - UNSEEN_MS;
  const known = [coming.step, coming.attempt].flatMap((moment) => (moment ? [moment.getTime()] : []));
  return new Date(Math.min(unseen, ...known));
}
