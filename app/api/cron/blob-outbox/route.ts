import { drainOutbox } from '@/lib/files/drain';
import { jobRoute } from '@/lib/http/job-route';

/** The next attempt of a file that failed is seconds away at first: worth waiting for. */
const PATIENCE_MS = 30_000;

export const maxDuration = 300;
export const { GET, POST, HEAD } = jobRoute('blob-outbox', (services, order) =>
  drainOutbox(services, { ...order, patienceMs: PATIENCE_MS }),
);
