import { signOutRoute } from '@/lib/http/console/sign-in';

export const maxDuration = 60;
export const { POST } = signOutRoute();
