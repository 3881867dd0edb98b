import { scriptsRoute } from '@/lib/http/console/scripts';

export const maxDuration = 60;
export const { POST } = scriptsRoute();
