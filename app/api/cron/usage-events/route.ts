import { cronRoute } from '@/lib/http/cron-route';

export const maxDuration = 300;
export const { GET, POST, HEAD } = cronRoute('usage-events');
