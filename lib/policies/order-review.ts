/**
 * The order review of this installation. Undefined: there is none, and then no cron, no watch expectation, no metric and
 * no statement of it exists. Declare your own with defineOrderReview, then `npm run crons`.
 */

import { exampleOrderReview } from '../example/order-review';
import { RequestError } from '../platform/errors';
import type { OrderReview } from './order-contract';

export const orderReview: OrderReview | undefined = exampleOrderReview;

/** Throws a 404 where none is declared. */
export function declaredReview(review: OrderReview | undefined): OrderReview {
  if (review) return review;
  throw new RequestError(404, 'no_order_review', UNDECLARED);
}

export const UNDECLARED =
  'no order review is declared here: lib/policies/order-review.ts would declare it (docs/MONITORING.md)';
