import { jobRoute } from '@/lib/http/job-route';
import { OWN_WORK } from '@/lib/http/own-jobs';

export const maxDuration = 300;
export const { GET, POST, HEAD } = jobRoute('notices', OWN_WORK.notices);
