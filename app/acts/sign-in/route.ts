import { signInRoute } from '@/lib/http/console/sign-in';

export const maxDuration = 60;
export const { POST } = signInRoute();
