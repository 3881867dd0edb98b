import { jobRoute } from '@/lib/http/job-route';
import { reconcile } from '@/lib/reconcile/reconcile';

export const maxDuration = 300;
export const { GET, POST, HEAD } = jobRoute('blob-reconcile', (services, order) =>
  reconcile(services, { ...order, mayDelete: services.settings.reconcileDelete }),
);
