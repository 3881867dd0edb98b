import { jobRoute } from '@/lib/http/job-route';
import { orderReviewJob } from '@/lib/orders/job';

export const maxDuration = 300;
export const { GET, POST, HEAD } = jobRoute('order-review-sla', orderReviewJob);
