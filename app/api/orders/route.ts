import { ordersRoute } from '@/lib/orders/endpoint';

export const maxDuration = 60;
export const { GET, POST } = ordersRoute();
