/**
 * Statements over the orders table, from the names of the contract. A claim locks the rows, lets the database judge and
 * write intents, steps and audit (functions/orders.sql), and moves the orders, all in one statement; claims go one at a
 * time, so that the daily caps hold.
 */

import type { Statement } from '../platform/database';
import type { OrderSettings } from '../platform/settings/orders';
import { keyText, name, Parameters, table } from '../platform/sql';
import type { EscalationStep, OrderReview } from '../policies/order-contract';

export const WATCH = 'order-review-sla';

/** Always before a claim, in a statement of its own: the claim must see what the one before it wrote. */
export const oneClaimAtATime: Statement = { text: 'select pg_advisory_xact_lock(7002, 1)', params: [] };

const percentOf = (step: EscalationStep, s: OrderSettings): number =>
  step.at === 'warning' ? s.warningPercent : step.at === 'breach' ? s.breachPercent : step.at;

/** The order's text forms. An extension can only move the deadline later. */
export function orderColumns(review: OrderReview, s: OrderSettings, p: Parameters) {
  const c = (column: keyof OrderReview['columns']) => `t.${name(review.columns[column])}`;
  const started = c('reviewStartedAt');
  const deadline = `greatest(${started} + make_interval(secs => ${p.add(s.allowedSeconds, 'float8')}), ${c('reviewExtendedUntil')})`;
  return {
    c,
    key: keyText('t', [review.key]),
    started,
    deadline,
    at: (percent: number) => `(${started} + (${deadline} - ${started}) * ${percent / 100})`,
  };
}

export const orderIs = (review: OrderReview, key: string): string =>
  `t.${name(review.key.column)} = ${key}::${review.key.type}`;

export interface ClaimOrder {
  readonly now: Date;
  readonly requestedBy: string;
  readonly reason: string;
  /** One order, asked for by a person: due or not; above the caps a second person confirms. */
  readonly order?: string;
  /** Without a provider each goes to the manual queue. */
  readonly canRefund: boolean;
  readonly most: number;
}

/** Gives order_key, state, refused_because for each claimed order; none while refunds are stopped. */
export function claim(review: OrderReview, s: OrderSettings, order: ClaimOrder): Statement {
  const p = new Parameters();
  const { states } = review;
  const o = orderColumns(review, s, p);
  const now = p.add(order.now.toISOString(), 'timestamptz');
  const which = order.order === undefined ? breached(review, s, p, now) : asked(review, p, order.order);
  const reached =
    order.order === undefined ? review.steps.filter((x) => percentOf(x, s) <= s.breachPercent) : [];
  return p.statement(`with due as (
      select ${o.key} as order_key, t.ctid as place, ${o.c('payment')}::text as payment, ${o.c('amount')}::bigint as amount,
        lower(${o.c('currency')}::text) as currency, ${o.deadline} as due_at, ${o.started} as started
      from ${table(review.table)} t where ${which}
      order by ${o.started}, t.${name(review.key.column)} limit ${p.add(order.most, 'int')}
      for update ${order.order === undefined ? 'skip locked' : ''}
    ), listed as (
      select jsonb_agg(jsonb_build_object('n', d.n, 'order_key', d.order_key, 'payment', d.payment, 'amount', d.amount,
        'currency', d.currency, 'due_at', d.due_at)) as claims
      from (select *, row_number() over (order by started, order_key) as n from due) d
    ), known as (
      select c.* from listed l cross join lateral retention.claim_refunds(l.claims, ${p.add(JSON.stringify(s.caps), 'jsonb')},
        ${p.add(order.requestedBy)}, ${p.add(order.reason)}, ${now}, ${p.add(order.canRefund, 'boolean')},
        ${p.add(JSON.stringify(reached.map((x) => x.name)), 'jsonb')}) c
      where l.claims is not null
    ), moved as (
      update ${table(review.table)} t set ${name(review.columns.status)} = case k.state when 'manual' then ${p.add(states.manual)}
          when 'succeeded' then ${p.add(states.refunded)} else ${p.add(states.refunding)} end
      from known k join due d using (order_key) where t.ctid = d.place returning k.order_key
    )
    select k.order_key, k.state, k.refused_because from known k join moved using (order_key)`);
}

function breached(review: OrderReview, s: OrderSettings, p: Parameters, now: string): string {
  const o = orderColumns(review, s, p);
  return `${o.c('status')} = ${p.add(review.states.inReview)}
    and ${o.started} <= ${now} - make_interval(secs => ${p.add((s.allowedSeconds * s.breachPercent) / 100, 'float8')})
    and ${o.at(s.breachPercent)} <= ${now}`;
}

const asked = (review: OrderReview, p: Parameters, order: string): string =>
  `${orderIs(review, p.add(order))}
    and t.${name(review.columns.status)} in (${p.add(review.states.inReview)}, ${p.add(review.states.manual)})`;

/** Takes the steps before the breach that are due, each once for a deadline; gives step and count. */
export function takeEarlySteps(review: OrderReview, s: OrderSettings, now: Date, most: number): Statement[] {
  return review.steps
    .filter((x) => percentOf(x, s) < s.breachPercent)
    .map((step) => {
      const p = new Parameters();
      const o = orderColumns(review, s, p);
      const percent = percentOf(step, s);
      const at = p.add(now.toISOString(), 'timestamptz');
      return p.statement(
        takeStep(
          p,
          step,
          at,
          `select ${o.key} as order_key, ${o.deadline} as due_at from ${table(review.table)} t
            where ${o.c('status')} = ${p.add(review.states.inReview)}
              and ${o.started} <= ${at} - make_interval(secs => ${p.add((s.allowedSeconds * percent) / 100, 'float8')})
              and ${o.at(percent)} <= ${at} and ${o.at(s.breachPercent)} > ${at}
              and not exists (select 1 from retention.order_step x where x.order_key = ${o.key}
                and x.due_at = ${o.deadline} and x.step = ${p.add(step.name)})
            order by ${o.started} limit ${p.add(most, 'int')}`,
        ),
      );
    });
}

/** Steps after the breach: of orders whose refund is still not confirmed, or waits for a person. */
export function takeLateSteps(review: OrderReview, s: OrderSettings, now: Date, most: number): Statement[] {
  return review.steps
    .filter((x) => percentOf(x, s) > s.breachPercent)
    .map((step) => {
      const p = new Parameters();
      const o = orderColumns(review, s, p);
      const at = p.add(now.toISOString(), 'timestamptz');
      return p.statement(
        takeStep(
          p,
          step,
          at,
          `select i.order_key, ${o.deadline} as due_at from retention.refund_intent i
            join ${table(review.table)} t on ${orderIs(review, 'i.order_key')}
            where i.state in ('pending', 'submitted', 'manual') and ${o.at(percentOf(step, s))} <= ${at}
              and not exists (select 1 from retention.order_step x where x.order_key = i.order_key
                and x.due_at = ${o.deadline} and x.step = ${p.add(step.name)})
            order by i.claimed_at limit ${p.add(most, 'int')}`,
        ),
      );
    });
}

const takeStep = (p: Parameters, step: EscalationStep, now: string, due: string): string =>
  `with due as (${due})
    select ${p.add(step.name)}::text as step, retention.take_step(${p.add(step.name)}, ${p.add(JSON.stringify(step.tell), 'jsonb')},
      ${now}, coalesce(jsonb_agg(jsonb_build_object('order_key', d.order_key, 'due_at', d.due_at)), '[]')) as taken from due d`;
