import { discardLetterRoute } from '@/lib/http/console/letter-acts';

export const maxDuration = 60;
export const { POST } = discardLetterRoute();
