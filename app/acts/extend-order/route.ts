import { extendOrderRoute } from '@/lib/http/console/order-acts';

export const maxDuration = 60;
export const { POST } = extendOrderRoute();
