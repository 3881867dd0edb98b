import { ordersRoute } from '@/lib/http/orders-route';

export const maxDuration = 60;
export const { GET, POST } = ordersRoute();
