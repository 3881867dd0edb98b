import { withdrawExportRoute } from '@/lib/http/console/right-acts';

export const maxDuration = 60;
export const { POST } = withdrawExportRoute();
