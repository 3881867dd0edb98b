import { controlRoute } from '@/lib/control/endpoint';

export const maxDuration = 60;
export const { GET, POST } = controlRoute();
