import { downloadRoute } from '@/lib/http/notice-routes';

export const maxDuration = 300;
export const { GET, POST } = downloadRoute();
