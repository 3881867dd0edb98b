/** How long the review queue is and how old: its latency is the age of its oldest order. Index look-ups, no scan of the orders. */

import type { Row, Statement } from '../platform/database';
import type { OrderSettings } from '../platform/settings/orders';
import { name, Parameters, table } from '../platform/sql';
import type { OrderReview } from '../policies/order-contract';
import { orderColumns } from './sql';

/** Counting stops here; a queue this long is an incident whatever its exact length. */
const MOST = 20_000;

export interface OrderQueue {
  readonly inReview: number;
  /** Past the warning, not yet breached. */
  readonly warning: number;
  readonly breached: number;
  readonly oldestInReviewSeconds: number;
  /** Claimed, and not confirmed by the provider. */
  readonly refunding: number;
  readonly oldestRefundSeconds: number;
  readonly manual: number;
  readonly oldestManualSeconds: number;
  /** In review with no start: they never breach, so a person has to see them. */
  readonly withoutStart: number;
}

export function queueStatement(review: OrderReview, s: OrderSettings, now: Date): Statement {
  const p = new Parameters();
  const o = orderColumns(review, s, p);
  const at = p.add(now.toISOString(), 'timestamptz');
  const inReview = p.add(review.states.inReview);
  const age = (x: string) => `coalesce(greatest(extract(epoch from ${at} - ${x}), 0), 0)::float8`;
  return p.statement(`select q.*, f.*, u.* from (
      select count(*)::int as in_review, count(*) filter (where breach <= ${at})::int as breached,
        count(*) filter (where warn <= ${at} and breach > ${at})::int as warning, ${age('min(started)')} as oldest_in_review
      from (
        select ${o.started} as started, ${o.at(s.warningPercent)} as warn, ${o.at(s.breachPercent)} as breach
        from ${table(review.table)} t where t.${name(review.columns.status)} = ${inReview} and ${o.started} is not null
        order by ${o.started} limit ${MOST}
      ) x
    ) q, (
      select refunding, oldest_refund, manual, oldest_manual from
        (select count(*)::int as refunding, ${age('min(claimed_at)')} as oldest_refund
          from retention.refund_intent where state in ('pending', 'submitted')) w,
        (select count(*)::int as manual, ${age('min(claimed_at)')} as oldest_manual
          from retention.refund_intent where state = 'manual') m
    ) f, (
      select count(*)::int as without_start from (
        select from ${table(review.table)} t where t.${name(review.columns.status)} = ${inReview} and ${o.started} is null limit ${MOST}
      ) x
    ) u`);
}

export function readQueue(rows: readonly Row[]): OrderQueue {
  const n = (column: string) => Number(rows[0]?.[column] ?? 0);
  return {
    inReview: n('in_review'),
    warning: n('warning'),
    breached: n('breached'),
    oldestInReviewSeconds: n('oldest_in_review'),
    refunding: n('refunding'),
    oldestRefundSeconds: n('oldest_refund'),
    manual: n('manual'),
    oldestManualSeconds: n('oldest_manual'),
    withoutStart: n('without_start'),
  };
}
