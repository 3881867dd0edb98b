import { confirmErasureRoute } from '@/lib/http/console/right-acts';

export const maxDuration = 300;
export const { POST } = confirmErasureRoute();
