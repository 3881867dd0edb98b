/**
 * Statements over the orders table, from the names of the contract. A claim judges under the row's lock and
 * writes intent, order, steps and audit at once; claims go one at a time, so that the daily cap holds.
 */
import { keyText, name, Parameters, table } from '../batch/sql';
import type { Statement } from '../database';
import type { EscalationStep, OrderReview } from './contract';
import type { OrderSettings } from './settings';

export const WATCH = 'order-review-sla';

/** Always before a claim, in a statement of its own: the claim must see what the one before it wrote. */
export const oneClaimAtATime: Statement = { text: 'select pg_advisory_xact_lock(7002, 1)', params: [] };

export const percentOf = (step: EscalationStep, s: OrderSettings): number =>
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
  /** One order, asked for by a person: due or not, above the caps or not. */
  readonly order?: string;
  /** Without a provider each goes to the manual queue. */
  readonly canRefund: boolean;
  readonly most: number;
}

/** Gives order_key, state, refused_because for each claimed order. */
export function claim(review: OrderReview, s: OrderSettings, order: ClaimOrder): Statement {
  const p = new Parameters();
  const { states } = review;
  const o = orderColumns(review, s, p);
  const now = p.add(order.now.toISOString(), 'timestamptz');
  const by = p.add(order.requestedBy);
  const why = p.add(order.reason);
  const breach = s.breachPercent / 100;
  const which =
    order.order === undefined
      ? `${o.c('status')} = ${p.add(states.inReview)}
          and ${o.started} <= ${now} - make_interval(secs => ${p.add(s.allowedSeconds * breach, 'float8')})
          and ${o.at(s.breachPercent)} <= ${now}`
      : `${orderIs(review, p.add(order.order))} and ${o.c('status')} in (${p.add(states.inReview)}, ${p.add(states.manual)})`;
  // A parameter that no statement uses has no type: only written where it counts.
  const capped = (condition: () => string, because: string) =>
    order.order === undefined ? `when ${condition()} then '${because}'` : '';
  const max = p.add(s.maxAmount, 'bigint');
  const reached = review.steps.filter((x) => percentOf(x, s) <= s.breachPercent);
  const steps = p.add(JSON.stringify(reached.map((x) => x.name)), 'jsonb');
  return p.statement(`with due as (
      select ${o.key} as order_key, t.ctid as place, ${o.c('payment')}::text as payment, ${o.c('amount')}::bigint as amount,
        lower(${o.c('currency')}::text) as currency, ${o.deadline} as due_at, ${o.started} as started
      from ${table(review.table)} t where ${which}
      order by ${o.started}, t.${name(review.key.column)} limit ${p.add(order.most, 'int')}
      for update ${order.order === undefined ? 'skip locked' : ''}
    ), summed as (
      select d.*, coalesce((select sum(i.amount) from retention.refund_intent i where i.claimed_at > ${now} - interval '24 hours'
          and i.currency = d.currency and i.requested_by = ${p.add(WATCH)} and i.state not in ('manual', 'closed')), 0)
        + sum(case when d.payment is not null and d.amount <= ${max} then d.amount else 0 end)
          over (partition by d.currency order by d.started, d.order_key) as day
      from due d
    ), judged as (
      select x.*, case when x.payment is null then 'no_payment' when not ${p.add(order.canRefund, 'boolean')} then 'no_provider'
        ${capped(() => `x.amount > ${max}`, 'amount_cap')} ${capped(() => `x.day > ${p.add(s.dailyAmount, 'numeric')}`, 'daily_cap')} end as refused
      from summed x
    ), intended as (
      insert into retention.refund_intent as i (order_key, payment, amount, currency, requested_by, reason, state,
        refused_because, next_attempt_at, claimed_at)
      select j.order_key, j.payment, j.amount, j.currency, ${by}, ${why}, case when j.refused is null then 'pending' else 'manual' end,
        j.refused, ${now}, ${now} from judged j
      on conflict (order_key) do update set payment = excluded.payment, amount = excluded.amount, currency = excluded.currency,
          requested_by = excluded.requested_by, reason = excluded.reason, state = excluded.state,
          refused_because = excluded.refused_because, next_attempt_at = excluded.next_attempt_at,
          claimed_at = excluded.claimed_at, key_generation = i.key_generation + 1, refund_id = null, lease = null,
          leased_until = null, settled_at = null
        where i.state in ('manual', 'closed')
      returning i.order_key, i.id, i.state, i.refused_because
    ), known as (
      -- An order that is here again although it has its refund, or has one under way: it gets no other.
      select j.order_key, coalesce(n.id, i.id) as id, coalesce(n.state, i.state) as state, n.refused_because, j.place, j.due_at,
        j.amount, j.currency, n.id is not null as fresh
      from judged j left join intended n using (order_key) left join retention.refund_intent i using (order_key)
    ), moved as (
      update ${table(review.table)} t set ${name(review.columns.status)} = case k.state when 'manual' then ${p.add(states.manual)}
          when 'succeeded' then ${p.add(states.refunded)} else ${p.add(states.refunding)} end
      from known k where t.ctid = k.place returning k.order_key
    ), stepped as (
      insert into retention.order_step (order_key, due_at, step, taken_at)
      select k.order_key, k.due_at, x, ${now} from known k cross join jsonb_array_elements_text(${steps}) x
      where ${order.order === undefined} on conflict do nothing
    ), audited as (
      insert into retention.audit_entry (actor, action, subject, reason, detail)
      select ${by}, case when not k.fresh then 'refund.known' when k.state = 'manual' then 'refund.refused' else 'refund.claimed' end,
        k.order_key, ${why}, jsonb_strip_nulls(jsonb_build_object('intent', k.id, 'amount', k.amount, 'currency', k.currency,
          'refused_because', k.refused_because, 'due_at', k.due_at)) from known k
    )
    select k.order_key, k.state, k.refused_because from known k join moved using (order_key)`);
}

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
  `with due as (${due}), taken as (
      insert into retention.order_step (order_key, due_at, step, taken_at)
      select order_key, due_at, ${p.add(step.name)}, ${now} from due on conflict do nothing returning order_key, due_at
    ), audited as (
      insert into retention.audit_entry (actor, action, subject, reason, detail)
      select ${p.add(WATCH)}, 'order.escalated', order_key, ${p.add(step.name)},
        jsonb_build_object('due_at', due_at, 'told', ${p.add(JSON.stringify(step.tell), 'jsonb')}) from taken
    )
    select ${p.add(step.name)}::text as step, count(*)::int as taken from taken`;
