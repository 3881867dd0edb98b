import { driftRoute } from '@/lib/http/drift-route';

export const maxDuration = 60;
export const GET = driftRoute();
