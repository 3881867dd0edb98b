/**
 * Many orders, a Stripe that loses answers, fails inside, confirms late and forgets its keys, and two watches at
 * once until nothing is left. Judged by Stripe's own records: each payment refunded exactly once.
 */
import { randomUUID } from 'node:crypto';
import { watchOrders } from '../../orders/watch';
import type { Services } from '../../services';
import type { LocalStripe, StripeRequest } from '../local-cloud/stripe';

export interface OrdersProof {
  readonly orders: number;
  readonly refundedTwice: number;
  readonly missed: number;
  readonly wronglyRefunded: number;
  readonly rounds: number;
  readonly requests: number;
  readonly lostAnswers: number;
  readonly lateConfirmations: number;
  readonly keysPruned: number;
}

export interface OrdersProofOptions {
  readonly services: Services;
  readonly stripe: LocalStripe;
  /** As the owner of the orders. */
  readonly sql: (text: string, params?: readonly unknown[]) => Promise<Record<string, unknown>[]>;
  readonly orders: number;
  /** A number in [0, 1) for each decision; the same numbers produce the same accidents. */
  readonly random: () => number;
}

/** Each round moves the clock past the longest wait of an intent. */
const ROUND_MS = 3_700_000;
/** Accidents end after these; three more rounds must then leave nothing. */
const WILD = 12;
const MOST_ROUNDS = 40;
const AMOUNT = 1_000;

export async function proveOrders(o: OrdersProofOptions): Promise<OrdersProof> {
  let now = o.services.clock().getTime();
  const { orders: settings } = o.services.settings;
  const services: Services = {
    ...o.services,
    clock: () => new Date(now),
    settings: {
      ...o.services.settings,
      orders: { ...settings, caps: { eur: { one: AMOUNT, day: AMOUNT * o.orders * 2 } } },
    },
  };
  // One in ten is not due: it must not be paid back.
  await o.sql(
    `insert into orders (status, amount_cents, payment_intent_id, review_started_at)
     select case when i % 10 = 0 then 'approved' else 'in_review' end, $2, 'pi_proof' || i, $3::timestamptz - interval '25 hours'
     from generate_series(1, $1::int) i`,
    [o.orders, AMOUNT, new Date(now).toISOString()],
  );
  for (let i = 1; i <= o.orders; i += 1) o.stripe.pay(`pi_proof${i}`, { amount: AMOUNT, currency: 'eur' });

  const seen = { lostAnswers: 0, lateConfirmations: 0, keysPruned: 0 };
  const accident = (r: StripeRequest) => {
    const x = o.random();
    if (x < 0.1) {
      seen.lostAnswers += 1;
      return { kind: 'drop-after' } as const;
    }
    if (x < 0.15) return { kind: 'drop-before' } as const;
    if (x < 0.2) return { kind: 'refuse', status: 429 } as const;
    if (r.method !== 'POST') return undefined;
    if (x < 0.25) return { kind: 'error', done: true } as const;
    if (x < 0.3) return { kind: 'error', done: false } as const;
    if (x < 0.45) {
      seen.lateConfirmations += 1;
      return { kind: 'pending' } as const;
    }
    return undefined;
  };
  const watch = () =>
    watchOrders(services, {
      correlationId: randomUUID(),
      deadline: new Date(now + 300_000),
      dryRun: false,
      trigger: 'cron',
    });
  let rounds = 0;
  for (let quiet = 0; quiet < 3 && rounds < MOST_ROUNDS; rounds += 1) {
    const wild = rounds < WILD;
    o.stripe.setFaults(wild ? accident : undefined);
    const results = await Promise.all([watch(), watch()]);
    // Two of three: a key may be pruned while its refund is still unknown to us.
    if (wild && rounds % 3 !== 0) {
      o.stripe.pruneKeys();
      seen.keysPruned += 1;
    }
    o.stripe.confirm('succeeded', () => !wild || o.random() < 0.5);
    now += ROUND_MS;
    quiet = !wild && results.every((r) => r.queue.refunding === 0 && r.queue.breached === 0) ? quiet + 1 : 0;
  }
  o.stripe.setFaults(undefined);

  const times = new Map<string, number>();
  for (const r of o.stripe.refunds.values())
    times.set(r.payment_intent, (times.get(r.payment_intent) ?? 0) + 1);
  let missed = 0;
  let wronglyRefunded = 0;
  for (let i = 1; i <= o.orders; i += 1) {
    const made = times.get(`pi_proof${i}`) ?? 0;
    if (i % 10 === 0) wronglyRefunded += made > 0 ? 1 : 0;
    else if (made === 0) missed += 1;
  }
  // The record must say the same as Stripe.
  const [record] = await o.sql(
    "select count(*)::int as n from orders where payment_intent_id like 'pi_proof%' and status = 'refunded' and refund_id is not null",
  );
  const due = o.orders - Math.floor(o.orders / 10);
  return {
    orders: o.orders,
    refundedTwice: [...times.values()].filter((n) => n > 1).length,
    missed: Math.max(missed, due - Number(record?.n ?? 0)),
    wronglyRefunded,
    rounds,
    requests: o.stripe.requests(),
    ...seen,
  };
}

/** Small, fast and the same everywhere: accidents that can be repeated. */
export function randomFrom(seed: number): () => number {
  let x = seed >>> 0;
  return () => {
    x = (Math.imul(x, 1_664_525) + 1_013_904_223) >>> 0;
    return x / 2 ** 32;
  };
}
