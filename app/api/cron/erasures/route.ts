import { jobRoute } from '@/lib/http/job-route';
import { erasuresJob } from '@/lib/rights/job';

export const maxDuration = 300;
export const { GET, POST, HEAD } = jobRoute('erasures', erasuresJob);
