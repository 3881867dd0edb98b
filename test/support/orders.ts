/** Orders in review on a database of their own, with a Stripe of their own, and a clock that moves. */
import { randomUUID } from 'node:crypto';
import { type LocalStripe, startLocalStripe } from '@/lib/dev/local-cloud/stripe';
import { ordersRoute } from '@/lib/http/orders-route';
import { type WatchResult, watchOrders } from '@/lib/orders/watch';
import type { Services } from '@/lib/services';
import type { TestDatabase } from './database';
import { engine, NOW } from './engine';
import { OPERATORS, TOKENS } from './operators';

export const HOUR = 3_600;

export interface OrderWorld {
  readonly db: TestDatabase;
  readonly stripe: LocalStripe;
  readonly services: Services;
  /** Moves the clock. */
  pass(seconds: number): void;
  watch(changes?: Partial<Services>, dryRun?: boolean): Promise<WatchResult>;
  /** An order that has been in review for so many hours; paid for at Stripe. */
  order(
    hours: number | null,
    changes?: {
      amount?: number;
      currency?: string;
      payment?: string | null;
      refuse?: string;
      /** What was really paid, where it is not what the order says. */
      paid?: { amount?: number; currency?: string };
    },
  ): Promise<string>;
  state(order: string): Promise<Record<string, unknown>>;
  intent(order: string): Promise<Record<string, unknown> | undefined>;
  audit(order: string): Promise<string[]>;
  act(
    body: Record<string, unknown>,
    who?: keyof typeof TOKENS,
    changes?: Partial<Services>,
  ): Promise<{ status: number; body: Record<string, never> }>;
  list(query?: string): Promise<{ status: number; body: Record<string, never> }>;
  /** Money that went back, by payment. */
  paidBack(payment: string): number;
  stop(): Promise<void>;
}

export async function orderWorld(env: Record<string, string> = {}): Promise<OrderWorld> {
  const stripe = await startLocalStripe();
  const e = await engine({
    env: {
      STRIPE_SECRET_KEY: 'sk_test_local0000',
      STRIPE_API_BASE: stripe.url,
      LAPSE_OPERATORS: OPERATORS,
      ...env,
    },
  });
  let now = NOW.getTime();
  const services: Services = { ...e.services, clock: () => new Date(now) };
  const answer = async (r: Response) => ({
    status: r.status,
    body: (await r.json()) as Record<string, never>,
  });
  const headers = (who: keyof typeof TOKENS) => ({
    authorization: `Bearer ${TOKENS[who]}`,
    'content-type': 'application/json',
  });
  return {
    db: e.db,
    stripe,
    services,
    pass: (seconds) => {
      now += seconds * 1000;
    },
    watch: (changes = {}, dryRun = false) =>
      watchOrders(
        { ...services, ...changes },
        {
          correlationId: randomUUID(),
          deadline: new Date(now + 300_000),
          dryRun,
          trigger: 'cron',
        },
      ),
    order: async (hours, changes = {}) => {
      const payment =
        changes.payment === undefined ? `pi_${randomUUID().replaceAll('-', '')}` : changes.payment;
      const amount = changes.amount ?? 4_200;
      const currency = changes.currency ?? 'eur';
      if (payment)
        stripe.pay(payment, {
          amount,
          currency,
          ...changes.paid,
          ...(changes.refuse ? { refuse: changes.refuse } : {}),
        });
      const [row] = await e.db.sql(
        `insert into orders (status, amount_cents, payment_intent_id, review_started_at, currency)
         values ('in_review', $1, $2, $3::timestamptz, $4) returning id::text`,
        [
          amount,
          payment,
          hours === null ? null : new Date(now - hours * HOUR * 1000).toISOString(),
          currency,
        ],
      );
      return String(row?.id);
    },
    state: async (order) => (await e.db.sql('select * from orders where id = $1', [order]))[0] ?? {},
    intent: async (order) =>
      (await e.db.sql('select * from retention.refund_intent where order_key = $1', [order]))[0],
    audit: async (order) =>
      (await e.db.sql('select action from retention.audit_entry where subject = $1 order by n', [order])).map(
        (r) => String(r.action),
      ),
    act: async (body, who = 'alice', changes = {}) =>
      answer(
        await ordersRoute(() => ({ ...services, ...changes })).POST(
          new Request('http://localhost/api/orders', {
            method: 'POST',
            headers: headers(who),
            body: JSON.stringify(body),
          }),
        ),
      ),
    list: async (query = '') =>
      answer(
        await ordersRoute(() => services).GET(
          new Request(`http://localhost/api/orders${query}`, { headers: headers('alice') }),
        ),
      ),
    paidBack: (payment) =>
      [...stripe.refunds.values()]
        .filter((r) => r.payment_intent === payment && r.status !== 'failed')
        .reduce((sum, r) => sum + r.amount, 0),
    stop: async () => {
      await stripe.stop();
      await e.stop();
    },
  };
}
