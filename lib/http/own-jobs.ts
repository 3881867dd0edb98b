/** The work of each of Lapse's own jobs, by its name: for its own route, and for a call that has the database awake anyway. */
import { drainOutbox } from '../files/drain';
import { reconcile } from '../files/reconcile/reconcile';
import { sealAudit } from '../operators/audit/seal';
import { orderReviewJob } from '../orders/job';
import type { JobRequest, JobResult } from '../platform/job';
import { recordsJob } from '../rights/archives/upkeep';
import { erasuresJob } from '../rights/job';
import { sendNotices } from '../rights/notices/job';
import type { Services } from '../services';
import { watchBacklog } from '../watch/backlog/watch-backlog';
import { measureQuality } from '../watch/quality/job';

export type Work = (services: Services, request: JobRequest) => Promise<JobResult>;

/** The next attempt of a file that failed is seconds away at first: worth waiting for. */
const PATIENCE_MS = 30_000;

/** The quickest first. `run-watch` is not here: whoever asks PostgreSQL ends with its look (lib/watch/attend.ts). */
export const OWN_WORK = {
  'blob-outbox': (services, order) => drainOutbox(services, { ...order, patienceMs: PATIENCE_MS }),
  'order-review-sla': orderReviewJob,
  erasures: erasuresJob,
  notices: sendNotices,
  backlog: watchBacklog,
  'own-records': recordsJob,
  'audit-seal': sealAudit,
  'data-quality': measureQuality,
  'blob-reconcile': (services, order) =>
    reconcile(services, { ...order, mayDelete: services.settings.reconcileDelete }),
} satisfies Readonly<Record<string, Work>>;
