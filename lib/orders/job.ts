/** The cron of the order review; where none is declared it answers that, and asks nothing. */
import type { JobRequest, JobResult } from '../platform/job';
import { UNDECLARED } from '../policies/order-review';
import type { Services } from '../services';
import { watchOrders } from './watch';

export const orderReviewJob = async (services: Services, request: JobRequest): Promise<JobResult> =>
  services.orderReview
    ? watchOrders(services, request)
    : { outcome: 'skipped', reason: 'not_declared', message: UNDECLARED, nextLook: null };
