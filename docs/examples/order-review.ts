/** Bookings that a person has to look at: in time, or paid back. */
import { defineOrderReview } from '@/lib/policies/order-contract';

export const bookings = defineOrderReview({
  table: { name: 'bookings' },
  key: { column: 'id', type: 'bigint' },
  columns: {
    status: 'status',
    amount: 'price_cents',
    currency: 'currency',
    payment: 'stripe_payment',
    reviewStartedAt: 'review_started_at',
    reviewExtendedUntil: 'review_until',
    resolvedAt: 'resolved_at',
    refundedAt: 'refunded_at',
    refundId: 'stripe_refund',
  },
  states: {
    inReview: 'review',
    refunding: 'refunding',
    refunded: 'refunded',
    manual: 'by_hand',
    decisions: ['confirmed', 'declined'],
  },
  steps: [
    { name: 'warning', at: 'warning', tell: ['reviewers'] },
    { name: 'breach', at: 'breach', tell: ['reviewers', 'team-lead'] },
  ],
});
