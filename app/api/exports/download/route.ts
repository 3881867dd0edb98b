import { downloadRoute } from '@/lib/http/export-route';

export const maxDuration = 300;
export const { GET, POST } = downloadRoute();
