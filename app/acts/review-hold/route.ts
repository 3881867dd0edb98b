import { reviewHoldRoute } from '@/lib/http/console/hold-acts';

export const maxDuration = 60;
export const { POST } = reviewHoldRoute();
