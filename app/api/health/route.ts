import { healthRoute } from '@/lib/http/health-route';

export const maxDuration = 30;
export const GET = healthRoute();
