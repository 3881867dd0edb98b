/** The operators' door to the orders in review: GET lists, POST acts. */
import { jsonOf, operatorRoute } from '../control/endpoint';
import { type Services, services } from '../services';
import { takeOrderAction } from './actions';
import { listOrders } from './list';

type Handler = (request: Request) => Promise<Response>;

export const ordersRoute = (provide: () => Services = services): { GET: Handler; POST: Handler } => ({
  GET: operatorRoute((s, _operator, request) => listOrders(s, new URL(request.url)), provide),
  POST: operatorRoute(
    async (s, operator, request) => takeOrderAction({ services: s, operator }, await jsonOf(request)),
    provide,
  ),
});
