/**
 * Table retention.refund_intent: what is to be paid back. A watcher leases intents, asks the provider and
 * settles them; an answer counts only while the lease is its own. The idempotency key is in the table, by id
 * and generation, before the provider hears of it.
 */
import { createHmac } from 'node:crypto';
import { z } from 'zod';
import { oneRow, type Query, query, rows } from '../platform/query';
import type { OrderSettings } from '../platform/settings/orders';
import { id, sql, tableId } from '../platform/sql';
import type { OrderReview } from '../policies/order-contract';
import { column, orderIs } from './sql';

/** Two looks at the provider and a request at their time limits, and the request that settles. */
export const LEASE_MS = 60_000;
/** How long a request for money to go back may be under way: the longest call, and a stall before it. */
export const ASKING_MS = 12_000;

const Intent = z.object({
  id: z.string(),
  order_key: z.string(),
  payment: z.string(),
  amount: z.coerce.number().int(),
  currency: z.string(),
  key_generation: z.number(),
  refund_id: z.string().nullable(),
  attempts: z.number(),
  requested_by: z.string(),
  confirmed_by: z.string().nullable(),
  confirmation: z.string().nullable(),
  /** Which cap it is above, as the caps are now; a confirmed one may be. */
  over: z.enum(['no_cap', 'amount_cap', 'daily_cap']).nullable(),
  /** The order still waits for this refund: with this payment, amount and currency. */
  fits: z.boolean(),
});
export type Intent = z.infer<typeof Intent>;

export const idempotencyKey = (intent: Pick<Intent, 'id' | 'key_generation'>): string =>
  `lapse-${intent.id}-${intent.key_generation}`;

/** What a second operator agreed to. Made with the provider's key, which no role of the database knows. */
export function confirmationOf(
  key: string,
  i: Pick<Intent, 'id' | 'order_key' | 'payment' | 'amount' | 'currency' | 'requested_by'>,
  confirmedBy: string,
): string {
  const agreed = [i.id, i.order_key, i.payment, i.amount, i.currency, i.requested_by, confirmedBy];
  return createHmac('sha256', key).update(JSON.stringify(agreed)).digest('hex');
}

/** Leases intents that are due; none while refunds are stopped. */
export function leaseIntents(
  review: OrderReview,
  caps: OrderSettings['caps'],
  lease: { token: string; now: Date; most: number },
): Query<Intent[]> {
  const until = new Date(lease.now.getTime() + LEASE_MS).toISOString();
  const of = (called: keyof OrderReview['columns']) => column(review, called);
  return query(
    sql`select l.id::text, l.order_key, l.payment, l.amount::text, l.currency, l.key_generation, l.refund_id, l.attempts,
      l.requested_by, l.confirmed_by, l.confirmation, l.over,
      coalesce(${of('status')} = ${review.states.refunding} and ${of('payment')}::text = l.payment
        and ${of('amount')}::bigint = l.amount and lower(${of('currency')}::text) = l.currency, false) as fits
    from retention.lease_refunds(${lease.token}::uuid, ${lease.now.toISOString()}::timestamptz,
      ${until}::timestamptz, ${lease.most}::int, ${JSON.stringify(caps)}::jsonb) l
    left join ${tableId(review.table)} t on ${orderIs(review, sql`l.order_key`)}`,
    rows(Intent),
  );
}

/** Asked before each request for money to go back, and committed by its answer. Null: it may. */
export const mayRefund = (intent: string, token: string): Query<{ why_not: string | null }> =>
  query(
    sql`select retention.may_refund(${intent}::uuid, ${token}::uuid, ${ASKING_MS / 1_000}::int) as why_not`,
    oneRow(z.object({ why_not: z.string().nullable() })),
  );

export interface Ending {
  readonly id: string;
  readonly state: 'pending' | 'submitted' | 'succeeded' | 'manual';
  readonly refund_id: string | null;
  readonly refused_because: string | null;
  readonly error_class: string | null;
  readonly key_generation: number;
  readonly next_attempt_at: string;
  /** The provider was asked and did not answer: it may still do it. */
  readonly unanswered: boolean;
}

const Settled = z.object({ id: z.string(), state: z.string() });

/** Settles each that is still this watcher's; order and audit move with it. */
export function settleIntents(
  review: OrderReview,
  token: string,
  now: Date,
  endings: readonly Ending[],
): Query<z.infer<typeof Settled>[]> {
  const at = sql`${now.toISOString()}::timestamptz`;
  const { columns, states } = review;
  return query(
    sql`with settled as (
      select * from retention.settle_refunds(${token}::uuid, ${at}, ${JSON.stringify(endings)}::jsonb)
    ), moved as (
      update ${tableId(review.table)} t set
        ${id(columns.status)} = case s.state when 'succeeded' then ${states.refunded} else ${states.manual} end,
        ${id(columns.refundedAt)} = case s.state when 'succeeded' then ${at} else ${column(review, 'refundedAt')} end,
        ${id(columns.resolvedAt)} = case s.state when 'succeeded' then ${at} else ${column(review, 'resolvedAt')} end,
        ${id(columns.refundId)} = coalesce(s.refund_id, ${column(review, 'refundId')})
      from settled s where s.state in ('succeeded', 'manual') and ${orderIs(review, sql`s.order_key`)}
    )
    select id::text, state from settled`,
    rows(Settled),
  );
}
