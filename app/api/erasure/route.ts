import { erasureRoute } from '@/lib/erasure/endpoint';

export const maxDuration = 300;
export const { GET, POST } = erasureRoute();
