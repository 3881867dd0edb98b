import { certificateRoute } from '@/lib/http/console/certificate';

export const GET = certificateRoute();
