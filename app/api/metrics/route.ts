import { metricsRoute } from '@/lib/metrics/route';

export const maxDuration = 30;
export const GET = metricsRoute();
