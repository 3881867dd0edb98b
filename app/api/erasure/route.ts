import { erasureRoute } from '@/lib/erasure/endpoint';

export const maxDuration = 300;
export const { POST } = erasureRoute();
