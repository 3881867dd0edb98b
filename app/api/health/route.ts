import { healthRoute } from '@/lib/health/route';

export const maxDuration = 30;
export const GET = healthRoute();
