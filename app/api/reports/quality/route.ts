import { qualityRoute } from '@/lib/http/quality-report';

export const maxDuration = 60;
export const GET = qualityRoute();
