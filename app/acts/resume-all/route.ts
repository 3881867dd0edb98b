import { resumeAllRoute } from '@/lib/http/console/acts';

export const maxDuration = 60;
export const { POST } = resumeAllRoute();
