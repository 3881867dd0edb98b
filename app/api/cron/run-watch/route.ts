import { jobRoute } from '@/lib/http/job-route';
import { watchRuns } from '@/lib/watch/run-watch';

export const maxDuration = 300;
export const { GET, POST, HEAD } = jobRoute('run-watch', watchRuns);
