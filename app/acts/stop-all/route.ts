import { stopAllRoute } from '@/lib/http/console/acts';

export const maxDuration = 60;
export const { POST } = stopAllRoute();
