/** The order review of the tests, over the example schema's orders: there whether or not the example is installed. */
import { defineOrderReview } from '@/lib/policies/order-contract';

export const REVIEW = defineOrderReview({
  table: { name: 'orders' },
  key: { column: 'id', type: 'uuid' },
  columns: {
    status: 'status',
    amount: 'amount_cents',
    currency: 'currency',
    payment: 'payment_intent_id',
    reviewStartedAt: 'review_started_at',
    reviewExtendedUntil: 'review_extended_until',
    resolvedAt: 'resolved_at',
    refundedAt: 'refunded_at',
    refundId: 'refund_id',
  },
  states: {
    inReview: 'in_review',
    refunding: 'refunding',
    refunded: 'refunded',
    manual: 'manual',
    decisions: ['approved', 'rejected'],
  },
  steps: [
    { name: 'warning', at: 'warning', tell: ['reviewers'] },
    { name: 'breach', at: 'breach', tell: ['reviewers', 'team-lead'] },
    { name: 'overdue', at: 150, tell: ['team-lead', 'on-call'] },
  ],
});
