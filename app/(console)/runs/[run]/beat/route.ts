import { beatRoute } from '@/lib/http/console/beat-route';

export const { GET } = beatRoute();
