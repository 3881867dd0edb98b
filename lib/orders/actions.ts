/**
 * What a person may do with an order in review: resolve it, extend it, pay it back now, and confirm what another asked
 * to pay back above the caps. Each under the order's row lock and with its state checked, with a reason, and with its
 * entry in the audit chain in the same statement: the first to come, the watch or the person, decides, and the other
 * is told.
 */
import { z } from 'zod';
import { type Acting, type Done, refusal, send, sendAs } from '../operators/carry-out';
import type { Statement } from '../platform/database';
import { RequestError } from '../platform/errors';
import { keyText, name, Parameters, table } from '../platform/sql';
import type { OrderReview } from '../policies/order-contract';
import type { Services } from '../services';
import { confirmationOf } from './intents';
import type { RefundProvider } from './provider';
import { claim, oneClaimAtATime, orderIs } from './sql';
import { isStop, STOPPED, whetherStopped } from './stop';
import { partsOf, type WatchParts } from './watch';

const text = (most: number) =>
  z
    .string()
    .trim()
    .min(1, 'must not be empty')
    .max(most, `must be at most ${most} characters`)
    .refine((s) => !/\p{Cc}/u.test(s), 'must not hold control characters');

/** Nobody has a review wait for more than a month: resolve it. */
const LONGEST_EXTENSION_MS = 31 * 86_400_000;

const shapes = (review: OrderReview) => {
  const order = {
    uuid: z.uuid('must be a UUID'),
    bigint: z.string().regex(/^-?\d{1,18}$/, 'must be a number'),
    integer: z.string().regex(/^-?\d{1,9}$/, 'must be a number'),
    text: text(500),
  }[review.key.type];
  const all = { order, reason: text(500) };
  return {
    'order.resolve': z.strictObject({
      action: z.string(),
      ...all,
      decision: z.enum(review.states.decisions as [string, ...string[]], {
        error: `must be one of ${review.states.decisions.join(', ')}`,
      }),
    }),
    'order.extend': z.strictObject({
      action: z.string(),
      ...all,
      until: z.iso.datetime({ offset: true, error: 'must be an ISO 8601 instant with its zone' }),
    }),
    'order.refund': z.strictObject({ action: z.string(), ...all }),
    'order.confirm': z.strictObject({ action: z.string(), ...all }),
  };
};

export async function takeOrderAction(
  acting: Omit<Acting, 'reason'>,
  body: unknown,
  { review, provider }: WatchParts = partsOf(acting.services),
): Promise<unknown> {
  const all = shapes(review);
  const action = (body as { action?: unknown } | null)?.action;
  if (typeof action !== 'string' || !Object.hasOwn(all, action)) {
    throw new RequestError(
      400,
      'unknown_action',
      `action must be one of ${Object.keys(all).join(', ')}`,
      'action',
    );
  }
  const parse = <K extends keyof typeof all>(which: K): z.output<(typeof all)[K]> => {
    const parsed = all[which].safeParse(body);
    if (parsed.success) return parsed.data as z.output<(typeof all)[K]>;
    const issue = parsed.error.issues[0]!;
    const unknown = issue.code === 'unrecognized_keys';
    const field = unknown ? String(issue.keys[0]) : String(issue.path[0] ?? 'body');
    throw new RequestError(
      400,
      unknown ? 'unknown_field' : 'bad_field',
      unknown ? `${field} is not a field of ${which}` : `${field}: ${issue.message}`,
      field,
    );
  };
  switch (action as keyof typeof all) {
    case 'order.resolve': {
      const { order, reason, decision } = parse('order.resolve');
      return resolve({ ...acting, reason }, review, order, decision);
    }
    case 'order.extend': {
      const { order, reason, until } = parse('order.extend');
      return extend({ ...acting, reason }, review, order, new Date(until));
    }
    case 'order.refund': {
      const { order, reason } = parse('order.refund');
      provided(acting.services, provider);
      return refund({ ...acting, reason }, review, order);
    }
    case 'order.confirm': {
      const { order, reason } = parse('order.confirm');
      return confirm({ ...acting, reason }, review, provided(acting.services, provider), order);
    }
  }
}

/** The provider's key. Throws where money cannot go back from here. */
function provided({ settings }: Services, provider: RefundProvider | undefined): string {
  if (!provider || !settings.orders.stripeKey) {
    throw new RequestError(409, 'no_provider', 'set STRIPE_SECRET_KEY first; nothing was changed');
  }
  if (!settings.dryRun) return settings.orders.stripeKey;
  throw new RequestError(
    409,
    'dry_run',
    'refunds are off outside production and in a dry run; nothing was changed',
  );
}

async function refund(acting: Acting, review: OrderReview, order: string): Promise<unknown> {
  const { services, operator, reason } = acting;
  const statement = claim(review, services.settings.orders, {
    now: services.clock(),
    requestedBy: operator,
    reason,
    order,
    canRefund: true,
    most: 1,
  });
  const [, rows] = await sendAs(acting, [oneClaimAtATime, statement]).catch((error: unknown) => {
    throw refusal(error);
  });
  if (!rows?.[0]) throw (await stoppedNow(acting)) ?? (await notNow(acting, review, order));
  const { state, refused_because: refusedBecause } = rows[0];
  const message =
    refusedBecause === 'second_operator'
      ? 'it is above the caps: another operator lets it go with order.confirm'
      : state === 'manual'
        ? 'a person has to decide'
        : 'the next watch pays back';
  return { order, state, refusedBecause, message };
}

const Asked = z.object({
  id: z.string(),
  order_key: z.string(),
  payment: z.string(),
  amount: z.coerce.number().int(),
  currency: z.string(),
  requested_by: z.string(),
});

/** The second of two: not who asked for it. */
async function confirm(acting: Acting, review: OrderReview, key: string, order: string): Promise<unknown> {
  const { services, operator, reason } = acting;
  const [, rows] = await send(services, [waitingFor(review, order)], true);
  if (!rows?.[0]) throw await notNow(acting, review, order, 'and waits for no second operator');
  const asked = Asked.parse(rows[0]);
  if (asked.requested_by === operator) {
    throw new RequestError(
      403,
      'second_person',
      'you asked for this refund: another operator has to confirm it; nothing was changed',
    );
  }
  const { columns, states } = review;
  const p = new Parameters();
  const proof = confirmationOf(key, asked, operator);
  const done = await recorded(
    acting,
    'refund.confirmed',
    p.statement(`with held as (
        select t.ctid as place from ${table(review.table)} t
        where ${orderIs(review, p.add(order))} and t.${name(columns.status)} = ${p.add(states.manual)} for update
      ), confirmed as (
        select c.* from held h cross join lateral retention.confirm_refund(${p.add(asked.id, 'uuid')}, ${p.add(operator)}, ${p.add(reason)},
          ${p.add(services.clock().toISOString(), 'timestamptz')}, ${p.add(proof)}) c
      ), moved as (
        update ${table(review.table)} t set ${name(columns.status)} = ${p.add(states.refunding)} from held h, confirmed c where t.ctid = h.place
      )
      select order_key as subject, entry::text as n, detail from confirmed`),
  );
  if (!done) throw (await stoppedNow(acting)) ?? (await notNow(acting, review, order));
  return { ...done, order, state: 'pending', message: 'the next watch pays back' };
}

const waitingFor = (review: OrderReview, order: string): Statement => ({
  text: `select i.id::text, i.order_key, i.payment, i.amount::text, i.currency, i.requested_by from ${table(review.table)} t
    join retention.refund_intent i on i.order_key = ${keyText('t', [review.key])}
    where ${orderIs(review, '$1')} and i.state = 'manual' and i.refused_because = 'second_operator'`,
  params: [order],
});

/** One statement that changes and writes its entry: it gives n, subject and detail, or no row when it did not apply. */
async function recorded(acting: Acting, action: string, statement: Statement): Promise<Done | null> {
  const { services, operator } = acting;
  try {
    const [rows] = await sendAs(acting, [statement]);
    const row = rows?.[0];
    if (!row) return null;
    const entry = Number(row.n);
    services.log.info({ event: 'operator.acted', action, operator, entry }, `${action} by ${operator}`);
    return { entry, subject: String(row.subject), detail: row.detail as Done['detail'] };
  } catch (error) {
    throw refusal(error);
  }
}

async function resolve(
  acting: Acting,
  review: OrderReview,
  order: string,
  decision: string,
): Promise<unknown> {
  const { columns, states } = review;
  const status = name(columns.status);
  const p = new Parameters();
  const to = p.add(decision);
  const now = p.add(acting.services.clock().toISOString(), 'timestamptz');
  // From the manual queue too: then its intent is closed, unless the provider may have the refund.
  const done = await recorded(
    acting,
    'order.resolved',
    p.statement(`with found as (
        select t.ctid as place, t.${status} as before, ${keyText('t', [review.key])} as order_key from ${table(review.table)} t
        where ${orderIs(review, p.add(order))} and t.${status} in (${p.add(states.inReview)}, ${p.add(states.manual)}) for update
      ), told as (
        select f.order_key, jsonb_build_object('decision', ${to}::text, 'before', f.before) as detail, f.place from found f
      ), recorded as (
        select t.order_key, t.detail, t.place,
          retention.resolve_order(t.order_key, ${p.add(acting.operator)}, ${p.add(acting.reason)}, ${now}, t.detail) as n from told t
      ), moved as (
        update ${table(review.table)} t set ${status} = ${to}, ${name(columns.resolvedAt)} = ${now} from recorded r where t.ctid = r.place
      )
      select n::text, order_key as subject, detail from recorded`),
  );
  return done ?? Promise.reject(await notNow(acting, review, order));
}

async function extend(acting: Acting, review: OrderReview, order: string, until: Date): Promise<unknown> {
  const { columns, states } = review;
  const now = acting.services.clock();
  if (until <= now || until.getTime() - now.getTime() > LONGEST_EXTENSION_MS) {
    throw new RequestError(
      422,
      'bad_extension',
      'until must lie in the future, and at most 31 days ahead',
      'until',
    );
  }
  const column = name(columns.reviewExtendedUntil);
  const p = new Parameters();
  const to = p.add(until.toISOString(), 'timestamptz');
  const done = await recorded(
    acting,
    'order.extended',
    p.statement(`with extended as (
        update ${table(review.table)} t set ${column} = ${to}
        where ${orderIs(review, p.add(order))} and t.${name(columns.status)} = ${p.add(states.inReview)}
          and (t.${column} is null or t.${column} < ${to})
          and t.${name(columns.reviewStartedAt)} + make_interval(secs => ${p.add(acting.services.settings.orders.allowedSeconds, 'float8')}) < ${to}
        returning ${keyText('t', [review.key])} as order_key, jsonb_build_object('until', ${to}) as detail
      )
      select retention.extend_order(order_key, ${p.add(acting.operator)}, ${p.add(acting.reason)}, detail)::text as n,
        order_key as subject, detail from extended`),
  );
  return done ?? Promise.reject(await notNow(acting, review, order, 'or its deadline is later already'));
}

async function stoppedNow({ services }: Acting): Promise<RequestError | null> {
  const [, rows] = await send(services, [whetherStopped], true);
  const why = (rows?.[0]?.why ?? null) as string | null;
  return isStop(why) ? new RequestError(409, why, `nothing was changed: ${STOPPED[why]}`) : null;
}

/** Why nothing was changed. */
async function notNow(acting: Acting, review: OrderReview, order: string, or = ''): Promise<RequestError> {
  const [, rows] = await send(
    acting.services,
    [
      {
        text: `select t.${name(review.columns.status)}::text as status
          from ${table(review.table)} t where ${orderIs(review, '$1')}`,
        params: [order],
      },
    ],
    true,
  );
  const status = rows?.[0]?.status;
  return status === undefined
    ? new RequestError(404, 'unknown_order', 'there is no such order', 'order')
    : new RequestError(
        409,
        'wrong_state',
        `the order is ${String(status)}${or && ` ${or}`}; nothing was changed`,
      );
}
