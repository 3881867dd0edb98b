import { reconcile } from '@/lib/files/reconcile/reconcile';
import { jobRoute } from '@/lib/http/job-route';

export const maxDuration = 300;
export const { GET, POST, HEAD } = jobRoute('blob-reconcile', (services, order) =>
  reconcile(services, { ...order, mayDelete: services.settings.reconcileDelete }),
);
