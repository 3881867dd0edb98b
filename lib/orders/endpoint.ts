/** The operators' door to the orders in review: GET lists, POST acts. */
import { operatorRoute } from '../control/endpoint';
import { readJson } from '../http/body';
import { urlOf } from '../http/raw-url';
import { type Services, services } from '../services';
import { takeOrderAction } from './actions';
import { listOrders } from './list';

type Handler = (request: Request) => Promise<Response>;

export const ordersRoute = (provide: () => Services = services): { GET: Handler; POST: Handler } => ({
  GET: operatorRoute((s, _operator, request) => listOrders(s, urlOf(request)), provide, 'orders'),
  POST: operatorRoute(
    async (s, operator, request, { token }) =>
      takeOrderAction({ services: s, operator, token }, await readJson(request)),
    provide,
    'orders',
  ),
});
