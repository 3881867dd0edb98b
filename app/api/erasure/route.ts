import { erasureRoute } from '@/lib/http/erasure-route';

export const maxDuration = 300;
export const { GET, POST } = erasureRoute();
