import { resumeErasures } from '@/lib/erasure/erase';
import { jobRoute } from '@/lib/http/job-route';

export const maxDuration = 300;
export const { GET, POST, HEAD } = jobRoute('erasures', (services, order) =>
  resumeErasures(services, { ...order, actor: order.trigger }),
);
