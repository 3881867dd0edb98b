import { removeEntryRoute } from '@/lib/http/console/blacklist-acts';

export const maxDuration = 60;
export const { POST } = removeEntryRoute();
