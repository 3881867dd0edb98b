import { cleanupRoute } from '@/lib/http/audit-routes';

export const maxDuration = 60;
export const GET = cleanupRoute();
