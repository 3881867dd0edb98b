/**
 * Table retention.refund_intent: what is to be paid back. A watcher leases intents, asks the provider and
 * settles them; an answer counts only while the lease is its own. The idempotency key is in the table, by id
 * and generation, before the provider hears of it.
 */
import { createHmac } from 'node:crypto';
import { z } from 'zod';
import type { Statement } from '../platform/database';
import type { OrderSettings } from '../platform/settings/orders';
import { name, Parameters, table } from '../platform/sql';
import type { OrderReview } from '../policies/order-contract';
import { orderIs } from './sql';

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
export const Intents = z.array(Intent);

export const idempotencyKey = (i: Pick<Intent, 'id' | 'key_generation'>): string =>
  `lapse-${i.id}-${i.key_generation}`;

/** What a second operator agreed to. Made with the provider's key, which no role of the database knows. */
export function confirmationOf(
  key: string,
  i: Pick<Intent, 'id' | 'order_key' | 'payment' | 'amount' | 'currency' | 'requested_by'>,
  confirmedBy: string,
): string {
  const agreed = [i.id, i.order_key, i.payment, i.amount, i.currency, i.requested_by, confirmedBy];
  return createHmac('sha256', key).update(JSON.stringify(agreed)).digest('hex');
}

/** Gives the leased intents; none while refunds are stopped. */
export function leaseIntents(
  review: OrderReview,
  caps: OrderSettings['caps'],
  lease: { token: string; now: Date; most: number },
): Statement {
  const p = new Parameters();
  const { columns, states } = review;
  const until = new Date(lease.now.getTime() + LEASE_MS).toISOString();
  return p.statement(`select l.id::text, l.order_key, l.payment, l.amount::text, l.currency, l.key_generation, l.refund_id, l.attempts,
      l.requested_by, l.confirmed_by, l.confirmation, l.over,
      coalesce(t.${name(columns.status)} = ${p.add(states.refunding)} and t.${name(columns.payment)}::text = l.payment and t.${name(columns.amount)}::bigint = l.amount
        and lower(t.${name(columns.currency)}::text) = l.currency, false) as fits
    from retention.lease_refunds(${p.add(lease.token, 'uuid')}, ${p.add(lease.now.toISOString(), 'timestamptz')},
      ${p.add(until, 'timestamptz')}, ${p.add(lease.most, 'int')}, ${p.add(JSON.stringify(caps), 'jsonb')}) l
    left join ${table(review.table)} t on ${orderIs(review, 'l.order_key')}`);
}

/** Asked before each request for money to go back, and committed by its answer. */
export const mayRefund = (intent: string, token: string): Statement => ({
  text: 'select retention.may_refund($1::uuid, $2::uuid, $3::int) as why_not',
  params: [intent, token, ASKING_MS / 1_000],
});

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

/** Gives id and state of each that was still this watcher's; order and audit move with it. */
export function settleIntents(
  review: OrderReview,
  token: string,
  now: Date,
  endings: readonly Ending[],
): Statement {
  const p = new Parameters();
  const at = p.add(now.toISOString(), 'timestamptz');
  const { columns, states } = review;
  return p.statement(`with settled as (
      select * from retention.settle_refunds(${p.add(token, 'uuid')}, ${at}, ${p.add(JSON.stringify(endings), 'jsonb')})
    ), moved as (
      update ${table(review.table)} t set
        ${name(columns.status)} = case s.state when 'succeeded' then ${p.add(states.refunded)} else ${p.add(states.manual)} end,
        ${name(columns.refundedAt)} = case s.state when 'succeeded' then ${at} else t.${name(columns.refundedAt)} end,
        ${name(columns.resolvedAt)} = case s.state when 'succeeded' then ${at} else t.${name(columns.resolvedAt)} end,
        ${name(columns.refundId)} = coalesce(s.refund_id, t.${name(columns.refundId)})
      from settled s where s.state in ('succeeded', 'manual') and ${orderIs(review, 's.order_key')}
    )
    select id::text, state from settled`);
}
