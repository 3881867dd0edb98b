import { qualityRoute } from '@/lib/quality/report';

export const maxDuration = 60;
export const GET = qualityRoute();
