/**
 * Table retention.refund_intent: what is to be paid back. A watcher leases intents, asks the provider and
 * settles them; an answer counts only while the lease is its own. The idempotency key is in the table, by id
 * and generation, before the provider hears of it.
 */
import { z } from 'zod';
import { name, Parameters, table } from '../batch/sql';
import type { Statement } from '../database';
import type { OrderReview } from './contract';
import { orderIs, WATCH } from './sql';

/** Two calls to the provider at their time limit, and the request that settles. */
export const LEASE_MS = 60_000;

const Intent = z.object({
  id: z.string(),
  order_key: z.string(),
  payment: z.string(),
  amount: z.coerce.number().int(),
  key_generation: z.number(),
  refund_id: z.string().nullable(),
  attempts: z.number(),
});
export type Intent = z.infer<typeof Intent>;
export const Intents = z.array(Intent);

export const idempotencyKey = (i: Intent): string => `lapse-${i.id}-${i.key_generation}`;

/** Gives the leased intents. */
export function leaseIntents(token: string, now: Date, most: number): Statement {
  const p = new Parameters();
  const at = p.add(now.toISOString(), 'timestamptz');
  return p.statement(`with due as (
      select id from retention.refund_intent
      where state in ('pending', 'submitted') and next_attempt_at <= ${at} and (leased_until is null or leased_until <= ${at})
      order by next_attempt_at, id limit ${p.add(most, 'int')} for update skip locked
    )
    update retention.refund_intent i set lease = ${p.add(token, 'uuid')}, leased_until = ${p.add(new Date(now.getTime() + LEASE_MS).toISOString(), 'timestamptz')},
      attempts = i.attempts + 1
    from due where i.id = due.id
    returning i.id::text, i.order_key, i.payment, i.amount::text, i.key_generation, i.refund_id, i.attempts`);
}

export interface Ending {
  readonly id: string;
  readonly state: 'pending' | 'submitted' | 'succeeded' | 'manual';
  readonly refund_id: string | null;
  readonly refused_because: string | null;
  readonly error_class: string | null;
  readonly key_generation: number;
  readonly next_attempt_at: string;
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
  return p.statement(`with ended as (
      select * from jsonb_to_recordset(${p.add(JSON.stringify(endings), 'jsonb')}) as x(id uuid, state text, refund_id text,
        refused_because text, error_class text, key_generation int, next_attempt_at timestamptz)
    ), before as (
      select i.id, i.state, i.refund_id from retention.refund_intent i join ended e using (id)
      where i.lease = ${p.add(token, 'uuid')} and i.state in ('pending', 'submitted') order by i.id for update of i
    ), settled as (
      update retention.refund_intent i set state = e.state, refund_id = e.refund_id, refused_because = e.refused_because,
        error_class = e.error_class, key_generation = e.key_generation, next_attempt_at = e.next_attempt_at, lease = null, leased_until = null,
        settled_at = case when e.state = 'succeeded' then ${at} end
      from ended e join before b using (id) where i.id = e.id
      returning i.id, i.order_key, i.state, i.refund_id, i.refused_because, i.error_class, i.attempts, i.amount, i.currency,
        b.state as before
    ), moved as (
      update ${table(review.table)} t set
        ${name(columns.status)} = case s.state when 'succeeded' then ${p.add(states.refunded)} else ${p.add(states.manual)} end,
        ${name(columns.refundedAt)} = case s.state when 'succeeded' then ${at} else t.${name(columns.refundedAt)} end,
        ${name(columns.resolvedAt)} = case s.state when 'succeeded' then ${at} else t.${name(columns.resolvedAt)} end,
        ${name(columns.refundId)} = coalesce(s.refund_id, t.${name(columns.refundId)})
      from settled s where s.state in ('succeeded', 'manual') and ${orderIs(review, 's.order_key')}
    ), audited as (
      insert into retention.audit_entry (actor, action, subject, reason, detail)
      select ${p.add(WATCH)}, case s.state when 'succeeded' then 'refund.succeeded' when 'manual' then 'refund.refused'
          when 'submitted' then 'refund.submitted' else 'refund.unsettled' end,
        s.order_key, coalesce(s.refused_because, s.error_class, ''), jsonb_strip_nulls(jsonb_build_object('intent', s.id,
          'refund', s.refund_id, 'amount', s.amount, 'currency', s.currency, 'attempts', s.attempts))
      from settled s where s.state <> s.before or s.attempts = 1
    )
    select id::text, state from settled`);
}
