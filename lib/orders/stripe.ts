/**
 * Refunds through Stripe's official library. Its own retries are off: an attempt that went wrong is a durable
 * intent's next attempt, after a look at what Stripe really has.
 */
import Stripe from 'stripe';
import { ProviderError, type Refund, type RefundProvider } from './provider';

/** Stripe answers in a second or two. */
const CALL_TIMEOUT_MS = 4_500;
/** The library asks once more, after half a second, where the connection was closed on it: well under the lease of an intent. */
export const LONGEST_CALL_MS = 2 * CALL_TIMEOUT_MS + 500;
/** The largest page Stripe returns. A payment with more refunds than ten pages is for a person to decide. */
const PAGE = 100;
const MOST_REFUNDS = 1_000;
/** In a refund's metadata: whose it is. */
const INTENT = 'lapse_intent';

export function stripeProvider(key: string, base?: string): RefundProvider {
  const url = base === undefined ? undefined : new URL(base);
  const stripe = new Stripe(key, {
    maxNetworkRetries: 0,
    timeout: CALL_TIMEOUT_MS,
    telemetry: false,
    appInfo: { name: 'lapse' },
    ...(url && {
      host: url.hostname,
      protocol: url.protocol === 'http:' ? ('http' as const) : ('https' as const),
      port: url.port || (url.protocol === 'http:' ? '80' : '443'),
    }),
  });
  return {
    create: (order) =>
      mapped(async () =>
        toRefund(
          await stripe.refunds.create(
            { payment_intent: order.payment, amount: order.amount, metadata: { [INTENT]: order.intent } },
            { idempotencyKey: order.idempotencyKey },
          ),
        ),
      ),
    payment: (id) =>
      mapped(async () => {
        const paid = await stripe.paymentIntents.retrieve(id);
        return { amount: paid.amount_received, currency: paid.currency.toLowerCase() };
      }),
    retrieve: (id) => mapped(async () => toRefund(await stripe.refunds.retrieve(id))),
    ofPayment: (payment) =>
      mapped(async () => {
        const found = await stripe.refunds
          .list({ payment_intent: payment, limit: PAGE })
          .autoPagingToArray({ limit: MOST_REFUNDS });
        if (found.length >= MOST_REFUNDS) throw new ProviderError('refused', 'too_many_refunds');
        return found.map(toRefund);
      }),
  };
}

function toRefund(refund: Stripe.Refund): Refund {
  return {
    id: refund.id,
    state:
      refund.status === 'succeeded'
        ? 'succeeded'
        : refund.status === 'failed' || refund.status === 'canceled'
          ? 'failed'
          : 'pending',
    amount: refund.amount,
    intent: refund.metadata?.[INTENT] ?? null,
  };
}

async function mapped<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw toProviderError(error);
  }
}

function toProviderError(error: unknown): ProviderError {
  if (error instanceof ProviderError) return error;
  if (!(error instanceof Stripe.errors.StripeError)) {
    return new ProviderError('unknown', error instanceof Error ? error.name : 'unexpected');
  }
  const reason = error.code ?? error.type ?? 'stripe_error';
  const status = error.statusCode;
  if (error instanceof Stripe.errors.StripeConnectionError || status === undefined) {
    return new ProviderError('unknown', 'no_answer');
  }
  // Another request with this key is under way: it may well succeed.
  if (status === 409) return new ProviderError('unknown', reason);
  // Stripe limits before it begins, and does not store the answer under the key.
  if (status === 429) return new ProviderError('transient', reason);
  if (status === 401 || status === 403) return new ProviderError('fatal', reason);
  if (status >= 500) {
    const replayed = error.headers?.['idempotent-replayed'] === 'true';
    return new ProviderError(replayed ? 'spent' : 'unknown', reason);
  }
  return new ProviderError('refused', reason);
}
