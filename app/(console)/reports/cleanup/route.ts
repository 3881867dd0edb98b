import { reportRoute } from '@/lib/http/console/reports';

export const maxDuration = 60;
export const { GET } = reportRoute();
