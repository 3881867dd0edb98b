import { planRoute } from '@/lib/http/plan-route';

export const maxDuration = 300;
export const GET = planRoute();
