/** The cron of the order review; where none is declared it answers that, and asks nothing. */
import type { JobOrder, JobResult } from '../platform/job';
import { UNDECLARED } from '../policies/order-review';
import type { Services } from '../services';
import { watchOrders } from './watch';

export const orderReviewJob = async (services: Services, order: JobOrder): Promise<JobResult> =>
  services.orderReview
    ? watchOrders(services, order)
    : { outcome: 'skipped', reason: 'not_declared', message: UNDECLARED };
