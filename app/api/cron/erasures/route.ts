import { jobRoute } from '@/lib/http/job-route';
import { resumeErasures } from '@/lib/rights/erase';

export const maxDuration = 300;
export const { GET, POST, HEAD } = jobRoute('erasures', (services, order) =>
  resumeErasures(services, { ...order, actor: order.trigger }),
);
