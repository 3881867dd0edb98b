import { releaseLockRoute } from '@/lib/http/console/approval-acts';

export const maxDuration = 60;
export const { POST } = releaseLockRoute();
