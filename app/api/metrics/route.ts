import { metricsRoute } from '@/lib/http/metrics-route';

export const maxDuration = 30;
export const GET = metricsRoute();
