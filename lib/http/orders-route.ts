/** The operators' door to the orders in review: GET lists, POST acts. */

import { takeOrderAction } from '../orders/actions';
import { listOrders } from '../orders/list';
import { type Services, services } from '../services';
import type { Handler } from './answered';
import { readJson } from './body';
import { operatorRoute } from './operator-route';
import { urlOf } from './raw-url';

export const ordersRoute = (provide: () => Services = services): { GET: Handler; POST: Handler } => ({
  GET: operatorRoute((s, _operator, request) => listOrders(s, urlOf(request)), provide, 'orders'),
  POST: operatorRoute(
    async (s, operator, request, { token, demand }) => {
      const body = await readJson(request);
      demand(body.action === 'order.confirm' ? 'approve' : 'operate');
      return takeOrderAction({ services: s, operator, token }, body);
    },
    provide,
    'orders',
  ),
});
