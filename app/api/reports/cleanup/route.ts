import { cleanupRoute } from '@/lib/audit/routes';

export const maxDuration = 60;
export const GET = cleanupRoute();
