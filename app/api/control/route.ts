import { controlRoute } from '@/lib/http/operator-route';

export const maxDuration = 60;
export const { GET, POST } = controlRoute();
