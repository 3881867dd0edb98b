import { jobRoute } from '@/lib/http/job-route';
import { watchOrders } from '@/lib/orders/watch';

export const maxDuration = 300;
export const { GET, POST, HEAD } = jobRoute('order-review-sla', (services, order) =>
  watchOrders(services, order),
);
