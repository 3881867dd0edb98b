import { jobRoute } from '@/lib/http/job-route';
import { watchBacklog } from '@/lib/watch/backlog/watch-backlog';

export const maxDuration = 300;
export const { GET, POST, HEAD } = jobRoute('backlog', watchBacklog);
