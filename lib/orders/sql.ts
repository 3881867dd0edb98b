/**
 * Statements over the orders table, from the names of the contract. A claim locks the rows, lets the database judge and
 * write intents, steps and audit (functions/orders.sql), and moves the orders, all in one statement; claims go one at a
 * time, so that the daily caps hold.
 */
import { z } from 'zod';
import { nothing, oneRow, type Query, query, rows } from '../platform/query';
import type { OrderSettings } from '../platform/settings/orders';
import { constant, id, keyAsText, raw, type Sql, sql, tableId } from '../platform/sql';
import type { EscalationStep, OrderReview } from '../policies/order-contract';

export const WATCH = 'order-review-sla';

/** Always before a claim, in a statement of its own: the claim must see what the one before it wrote. */
export const ONE_CLAIM_AT_A_TIME = query(sql`select pg_advisory_xact_lock(7002, 1)`, nothing);

/** Of the time allowed. */
export const percentOf = (step: EscalationStep, s: OrderSettings): number =>
  step.at === 'warning' ? s.warningPercent : step.at === 'breach' ? s.breachPercent : step.at;

/** A column of the orders table under its name in the contract. */
export const column = (review: OrderReview, called: keyof OrderReview['columns']): Sql =>
  id('t', review.columns[called]);
export const orderKey = (review: OrderReview): Sql => keyAsText('t', [review.key]);

/** When a review began, when it must end, and the instant at which a share of its time has passed. An extension can only move the deadline later. */
export function reviewTimes(review: OrderReview, s: OrderSettings) {
  const started = column(review, 'reviewStartedAt');
  const allowed = sql`make_interval(secs => ${s.allowedSeconds}::float8)`;
  const deadline = sql`greatest(${started} + ${allowed}, ${column(review, 'reviewExtendedUntil')})`;
  const at = (percent: number): Sql =>
    sql`(${started} + (${deadline} - ${started}) * ${constant(percent / 100)})`;
  return { started, deadline, at };
}

/** `key`: a value, or an expression of type text. */
export const orderIs = (review: OrderReview, key: string | Sql): Sql =>
  sql`${id('t', review.key.column)} = ${key}::${raw(review.key.type)}`;

interface Claim {
  readonly now: Date;
  readonly requestedBy: string;
  readonly reason: string;
  /** Without a provider each goes to the manual queue. */
  readonly canRefund: boolean;
}

const Claimed = z.object({
  order_key: z.string(),
  state: z.string(),
  refused_because: z.string().nullable(),
});
type Claimed = z.infer<typeof Claimed>;

/** Claims at most `most` orders that have breached and that no other watch is processing; none while refunds are stopped. */
export function claimBreached(
  review: OrderReview,
  s: OrderSettings,
  claim: Claim,
  most: number,
): Query<Claimed[]> {
  const { started, at } = reviewTimes(review, s);
  const due = sql`${column(review, 'status')} = ${review.states.inReview}
        and ${started} <= ${claim.now.toISOString()}::timestamptz - make_interval(secs => ${(s.allowedSeconds * s.breachPercent) / 100}::float8)
        and ${at(s.breachPercent)} <= ${claim.now.toISOString()}::timestamptz
      order by ${started}, ${id('t', review.key.column)} limit ${most}::int for update skip locked`;
  const reached = review.steps.filter((step) => percentOf(step, s) <= s.breachPercent);
  return claimThose(review, s, claim, due, reached);
}

/** Claims the one order a person asks for, due or not; above the caps a second person confirms. */
export const claimOne = (
  review: OrderReview,
  s: OrderSettings,
  claim: Claim,
  order: string,
): Query<Claimed[]> => {
  const { inReview, manual } = review.states;
  const asked = sql`${orderIs(review, order)} and ${column(review, 'status')} in (${inReview}, ${manual}) for update`;
  return claimThose(review, s, claim, asked, []);
};

function claimThose(
  review: OrderReview,
  s: OrderSettings,
  claim: Claim,
  which: Sql,
  reached: readonly EscalationStep[],
): Query<Claimed[]> {
  const { states } = review;
  const { started, deadline } = reviewTimes(review, s);
  return query(
    sql`with due as (
      select ${orderKey(review)} as order_key, t.ctid as place, ${column(review, 'payment')}::text as payment,
        ${column(review, 'amount')}::bigint as amount, lower(${column(review, 'currency')}::text) as currency,
        ${deadline} as due_at, ${started} as started
      from ${tableId(review.table)} t where ${which}
    ), listed as (
      select jsonb_agg(jsonb_build_object('n', d.n, 'order_key', d.order_key, 'payment', d.payment, 'amount', d.amount,
        'currency', d.currency, 'due_at', d.due_at)) as claims
      from (select *, row_number() over (order by started, order_key) as n from due) d
    ), known as (
      select c.* from listed l cross join lateral retention.claim_refunds(l.claims, ${JSON.stringify(s.caps)}::jsonb,
        ${claim.requestedBy}, ${claim.reason}, ${claim.now.toISOString()}::timestamptz, ${claim.canRefund}::boolean,
        ${JSON.stringify(reached.map((step) => step.name))}::jsonb) c
      where l.claims is not null
    ), moved as (
      update ${tableId(review.table)} t set ${id(review.columns.status)} = case k.state when 'manual' then ${states.manual}
          when 'succeeded' then ${states.refunded} else ${states.refunding} end
      from known k join due d using (order_key) where t.ctid = d.place returning k.order_key
    )
    select k.order_key, k.state, k.refused_because from known k join moved using (order_key)`,
    rows(Claimed),
  );
}

const Taken = z.object({ step: z.string(), taken: z.coerce.number() });
type Steps = Readonly<Record<string, Query<z.infer<typeof Taken>>>>;

/** Takes the steps before the breach that are due, each once for a deadline. */
export const takeEarlySteps = (review: OrderReview, s: OrderSettings, now: Date, most: number): Steps =>
  eachStep(
    review,
    (step) => {
      const percent = percentOf(step, s);
      if (percent >= s.breachPercent) return null;
      const { started, deadline, at } = reviewTimes(review, s);
      return sql`select ${orderKey(review)} as order_key, ${deadline} as due_at from ${tableId(review.table)} t
        where ${column(review, 'status')} = ${review.states.inReview}
          and ${started} <= ${now.toISOString()}::timestamptz - make_interval(secs => ${(s.allowedSeconds * percent) / 100}::float8)
          and ${at(percent)} <= ${now.toISOString()}::timestamptz and ${at(s.breachPercent)} > ${now.toISOString()}::timestamptz
          and ${isNotTaken(step, orderKey(review), deadline)}
        order by ${started} limit ${most}::int`;
    },
    now,
  );

/** Steps after the breach: of orders whose refund is still not confirmed, or waits for a person. */
export const takeLateSteps = (review: OrderReview, s: OrderSettings, now: Date, most: number): Steps =>
  eachStep(
    review,
    (step) => {
      const percent = percentOf(step, s);
      if (percent <= s.breachPercent) return null;
      const { deadline, at } = reviewTimes(review, s);
      const key = sql`i.order_key`;
      return sql`select ${key}, ${deadline} as due_at from retention.refund_intent i
        join ${tableId(review.table)} t on ${orderIs(review, key)}
        where i.state in ('pending', 'submitted', 'manual') and ${at(percent)} <= ${now.toISOString()}::timestamptz
          and ${isNotTaken(step, key, deadline)}
        order by i.claimed_at limit ${most}::int`;
    },
    now,
  );

const isNotTaken = (step: EscalationStep, key: Sql, deadline: Sql): Sql =>
  sql`not exists (select 1 from retention.order_step x
            where x.order_key = ${key} and x.due_at = ${deadline} and x.step = ${step.name})`;

/** One statement a step that has orders to take it, by its name. */
function eachStep(review: OrderReview, due: (step: EscalationStep) => Sql | null, now: Date): Steps {
  const taking = review.steps.flatMap((step) => {
    const orders = due(step);
    return orders ? [[step.name, takeStep(step, orders, now)] as const] : [];
  });
  return Object.fromEntries(taking);
}

const takeStep = (step: EscalationStep, due: Sql, now: Date) =>
  query(
    sql`with due as (${due})
    select ${step.name}::text as step, retention.take_step(${step.name}, ${JSON.stringify(step.tell)}::jsonb,
      ${now.toISOString()}::timestamptz,
      coalesce(jsonb_agg(jsonb_build_object('order_key', d.order_key, 'due_at', d.due_at)), '[]')) as taken from due d`,
    oneRow(Taken),
  );
