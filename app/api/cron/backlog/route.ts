import { watchBacklog } from '@/lib/backlog/watch-backlog';
import { jobRoute } from '@/lib/http/job-route';

export const maxDuration = 300;
export const { GET, POST, HEAD } = jobRoute('backlog', watchBacklog);
