import { jobRoute } from '@/lib/http/job-route';
import { measureQuality } from '@/lib/watch/quality/job';

export const maxDuration = 300;
export const { GET, POST, HEAD } = jobRoute('data-quality', measureQuality);
