import { entriesRoute } from '@/lib/http/console/audit';

export const maxDuration = 300;
export const { GET } = entriesRoute();
