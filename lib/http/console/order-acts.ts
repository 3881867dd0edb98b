/** Orders in review: resolved, extended, refunded now, and the second person's word for a refund above the caps. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { takeOrderAction } from '../../orders/actions';
import { type OneOrder, readOrder } from '../../orders/list';
import { RequestError } from '../../platform/errors';
import { type Services, services } from '../../services';
import { type Act, actRoute, type By } from './act';
import { digest, reason } from './take';

const route =
  <F extends z.ZodType>(act: Act<F>) =>
  (provide: () => Services = services) =>
    actRoute(act, provide);
const order = z.string().min(1).max(500);
const back = ({ order: key = '' }: Readonly<Record<string, string>>) => `/orders/${encodeURIComponent(key)}`;
const Told = z.object({ message: z.string() });

/** Of what money would go, and of the state it is judged in: an order that changed since is looked at again. */
export const digestOfOrder = ({
  order: key,
  status,
  amount,
  currency,
  state,
  refused_because: why,
}: OneOrder): string =>
  createHash('sha256')
    .update(JSON.stringify([key, status, amount, currency, state, why]))
    .digest('hex');

async function seen(by: By, key: string, looked: string): Promise<void> {
  const now = await readOrder(by.services, key);
  if (now === null) throw new RequestError(404, 'unknown_order', 'there is no such order', 'order');
  if (digestOfOrder(now) === looked) return;
  throw new RequestError(
    409,
    'stale',
    `the order is ${now.status} now, or its amount changed: look again; nothing was changed`,
  );
}

const take = ({ services: s, who }: By, body: object): Promise<unknown> =>
  takeOrderAction({ services: s, operator: who.name, token: who.token }, body);

export const refundRoute = route({
  needs: 'operate',
  form: z.strictObject({ order, digest, reason }),
  back,
  work: async (by, { digest: looked, ...input }) => {
    await seen(by, input.order, looked);
    return `Refund asked for: ${Told.parse(await take(by, { action: 'order.refund', ...input })).message}.`;
  },
});

export const confirmRefundRoute = route({
  needs: 'approve',
  form: z.strictObject({ order, digest, reason }),
  back,
  work: async (by, { digest: looked, ...input }) => {
    await seen(by, input.order, looked);
    return `Confirmed: ${Told.parse(await take(by, { action: 'order.confirm', ...input })).message}.`;
  },
});

export const resolveOrderRoute = route({
  needs: 'operate',
  form: z.strictObject({ order, decision: z.string().max(100), digest, reason }),
  back,
  work: async (by, { digest: looked, ...input }) => {
    await seen(by, input.order, looked);
    await take(by, { action: 'order.resolve', ...input });
    return `Resolved: the order is ${input.decision}, and does not refund itself.`;
  },
});

export const extendOrderRoute = route({
  needs: 'operate',
  form: z.strictObject({
    order,
    // A browser leaves the seconds out.
    until: z.iso
      .datetime({ local: true, error: 'must be a day and an hour' })
      .transform((local) => `${local}${local.length === 16 ? ':00' : ''}Z`),
    reason,
  }),
  back,
  work: async (by, input) => {
    await take(by, { action: 'order.extend', ...input });
    return `Extended: it refunds itself on ${input.until.replace('T', ' ').slice(0, 16)} UTC unless decided.`;
  },
});
