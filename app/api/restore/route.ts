import { restoreRoute } from '@/lib/http/restore-route';

export const maxDuration = 300;
export const { GET, POST } = restoreRoute();
