import { expect, it } from 'vitest';
import { PolicyError } from '@/lib/platform/errors';
import { defineOrderReview, type OrderReviewInput } from '@/lib/policies/order-contract';
import { declaredReview } from '@/lib/policies/order-review';
import { REVIEW } from '../support/order-review';

const STEP = { name: 'breach', at: 'breach' as const, tell: ['reviewers'] };

it.each<[string, Partial<OrderReviewInput>, string]>([
  ['no step', { steps: [] }, 'steps'],
  ['nobody who is told at the breach', { steps: [{ ...STEP, at: 'warning' }] }, 'at the breach'],
  ['two steps of one name', { steps: [STEP, { ...STEP, at: 150 }] }, 'two steps have the same name'],
  ['one state with two meanings', { states: { ...REVIEW.states, manual: REVIEW.states.refunded } }, 'states'],
  [
    'one column with two meanings',
    { columns: { ...REVIEW.columns, refundedAt: REVIEW.columns.resolvedAt } },
    'one column has two meanings',
  ],
])('an order review with %s does not start', (_, changes, says) => {
  expect(() => defineOrderReview({ ...REVIEW, ...changes })).toThrow(PolicyError);
  expect(() => defineOrderReview({ ...REVIEW, ...changes })).toThrow(says);
});

it('where none is declared, its addresses are not there', () => {
  expect(() => declaredReview(undefined)).toThrow(
    expect.objectContaining({ status: 404, code: 'no_order_review' }),
  );
  expect(declaredReview(REVIEW)).toBe(REVIEW);
});
