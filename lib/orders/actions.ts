/**
 * What a person may do with an order in review: resolve it, extend it, pay it back now, and confirm what another asked
 * to pay back above the caps. Each under the order's row lock and with its state checked, with a reason, and with its
 * entry in the audit chain in the same statement: the first to come, the watch or the person, decides, and the other
 * is told.
 */
import { z } from 'zod';
import { type Acting, actingLimits, type Done, READING, refusal } from '../operators/carry-out';
import { words } from '../operators/words';
import { RequestError } from '../platform/errors';
import { maybeRow, type Query, query } from '../platform/query';
import { ask, askOne } from '../platform/session';
import { id, type Sql, sql, tableId } from '../platform/sql';
import type { OrderReview } from '../policies/order-contract';
import type { Services } from '../services';
import { confirmationOf } from './intents';
import type { RefundProvider } from './provider';
import { claimOne, column, ONE_CLAIM_AT_A_TIME, orderIs, orderKey } from './sql';
import { STOPPED, WHY_STOPPED } from './stop';
import { partsOf, type WatchParts } from './watch';

/** A review should not wait longer than a month; resolve it instead. */
const LONGEST_EXTENSION_MS = 31 * 86_400_000;

const shapes = (review: OrderReview) => {
  const order = {
    uuid: z.guid('must be a UUID'),
    bigint: z.string().regex(/^-?\d{1,18}$/, 'must be a number'),
    integer: z.string().regex(/^-?\d{1,9}$/, 'must be a number'),
    text: words(500),
  }[review.key.type];
  const all = { order, reason: words(500) };
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
  const claim = { now: services.clock(), requestedBy: operator, reason, canRefund: true };
  const { claimed } = await ask(
    services.deciding,
    { alone: ONE_CLAIM_AT_A_TIME, claimed: claimOne(review, services.settings.orders, claim, order) },
    actingLimits(acting),
  ).catch((error: unknown) => {
    throw refusal(error);
  });
  const [one] = claimed;
  if (!one) throw (await stoppedNow(acting)) ?? (await notNow(acting, review, order));
  const { state, refused_because: refusedBecause } = one;
  const message =
    refusedBecause === 'second_operator'
      ? 'it is above the caps: another operator lets it go with order.confirm'
      : state === 'manual'
        ? 'a person has to decide'
        : 'the next watch pays back';
  return { order, state, refusedBecause, message };
}

const Waiting = z.object({
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
  const waiting = await askOne(services.database, waitingFor(review, order), READING);
  if (!waiting) throw await notNow(acting, review, order, 'and waits for no second operator');
  if (waiting.requested_by === operator) {
    throw new RequestError(
      403,
      'second_person',
      'you asked for this refund: another operator has to confirm it; nothing was changed',
    );
  }
  const { columns, states } = review;
  const proof = confirmationOf(key, waiting, operator);
  const done = await recorded(
    acting,
    'refund.confirmed',
    sql`with held as (
        select t.ctid as place from ${tableId(review.table)} t
        where ${orderIs(review, order)} and ${column(review, 'status')} = ${states.manual} for update
      ), confirmed as (
        select c.* from held h cross join lateral retention.confirm_refund(${waiting.id}::uuid, ${operator}, ${reason},
          ${services.clock().toISOString()}::timestamptz, ${proof}) c
      ), moved as (
        update ${tableId(review.table)} t set ${id(columns.status)} = ${states.refunding}
        from held h, confirmed c where t.ctid = h.place
      )
      select order_key as subject, entry::text as n, detail from confirmed`,
  );
  if (!done) throw (await stoppedNow(acting)) ?? (await notNow(acting, review, order));
  return { ...done, order, state: 'pending', message: 'the next watch pays back' };
}

const waitingFor = (review: OrderReview, order: string): Query<z.infer<typeof Waiting> | null> =>
  query(
    sql`select i.id::text, i.order_key, i.payment, i.amount::text, i.currency, i.requested_by from ${tableId(review.table)} t
      join retention.refund_intent i on i.order_key = ${orderKey(review)}
      where ${orderIs(review, order)} and i.state = 'manual' and i.refused_because = 'second_operator'`,
    maybeRow(Waiting),
  );

const Entry = z.object({
  n: z.coerce.number(),
  subject: z.string(),
  detail: z.record(z.string(), z.unknown()),
});

/** One statement that changes and writes its entry: it returns n, subject and detail, or no row when it did not apply. */
async function recorded(acting: Acting, action: string, change: Sql): Promise<Done | null> {
  const { services, operator } = acting;
  const limits = actingLimits(acting);
  const written = await askOne(services.deciding, query(change, maybeRow(Entry)), limits).catch(
    (error: unknown) => {
      throw refusal(error);
    },
  );
  if (!written) return null;
  const { n: entry, subject, detail } = written;
  services.log.info({ event: 'operator.acted', action, operator, entry }, `${action} by ${operator}`);
  return { entry, subject, detail };
}

async function resolve(
  acting: Acting,
  review: OrderReview,
  order: string,
  decision: string,
): Promise<unknown> {
  const { columns, states } = review;
  const now = sql`${acting.services.clock().toISOString()}::timestamptz`;
  const status = column(review, 'status');
  // From the manual queue too: then its intent is closed, unless the provider may have the refund.
  const done = await recorded(
    acting,
    'order.resolved',
    sql`with found as (
        select t.ctid as place, ${status} as before, ${orderKey(review)} as order_key from ${tableId(review.table)} t
        where ${orderIs(review, order)} and ${status} in (${states.inReview}, ${states.manual}) for update
      ), told as (
        select f.order_key, jsonb_build_object('decision', ${decision}::text, 'before', f.before) as detail, f.place from found f
      ), recorded as (
        select t.order_key, t.detail, t.place,
          retention.resolve_order(t.order_key, ${acting.operator}, ${acting.reason}, ${now}, t.detail) as n from told t
      ), moved as (
        update ${tableId(review.table)} t set ${id(columns.status)} = ${decision}, ${id(columns.resolvedAt)} = ${now}
        from recorded r where t.ctid = r.place
      )
      select n::text, order_key as subject, detail from recorded`,
  );
  return done ?? Promise.reject(await notNow(acting, review, order));
}

async function extend(acting: Acting, review: OrderReview, order: string, until: Date): Promise<unknown> {
  const { services, operator, reason } = acting;
  const now = services.clock();
  if (until <= now || until.getTime() - now.getTime() > LONGEST_EXTENSION_MS) {
    throw new RequestError(
      422,
      'bad_extension',
      'until must lie in the future, and at most 31 days ahead',
      'until',
    );
  }
  const to = sql`${until.toISOString()}::timestamptz`;
  const extended = column(review, 'reviewExtendedUntil');
  const allowed = sql`make_interval(secs => ${services.settings.orders.allowedSeconds}::float8)`;
  const done = await recorded(
    acting,
    'order.extended',
    sql`with extended as (
        update ${tableId(review.table)} t set ${id(review.columns.reviewExtendedUntil)} = ${to}
        where ${orderIs(review, order)} and ${column(review, 'status')} = ${review.states.inReview}
          and (${extended} is null or ${extended} < ${to}) and ${column(review, 'reviewStartedAt')} + ${allowed} < ${to}
        returning ${orderKey(review)} as order_key, jsonb_build_object('until', ${to}) as detail
      )
      select retention.extend_order(order_key, ${operator}, ${reason}, detail)::text as n,
        order_key as subject, detail from extended`,
  );
  return done ?? Promise.reject(await notNow(acting, review, order, 'or its deadline is later already'));
}

async function stoppedNow({ services }: Acting): Promise<RequestError | null> {
  const why = await askOne(services.database, WHY_STOPPED, READING);
  return why === null ? null : new RequestError(409, why, `nothing was changed: ${STOPPED[why]}`);
}

/** Why nothing was changed. */
async function notNow(
  { services }: Acting,
  review: OrderReview,
  order: string,
  or = '',
): Promise<RequestError> {
  const found = await askOne(
    services.database,
    query(
      sql`select ${column(review, 'status')}::text as status from ${tableId(review.table)} t where ${orderIs(review, order)}`,
      maybeRow(z.object({ status: z.string() })),
    ),
    READING,
  );
  return found === null
    ? new RequestError(404, 'unknown_order', 'there is no such order', 'order')
    : new RequestError(
        409,
        'wrong_state',
        `the order is ${found.status}${or && ` ${or}`}; nothing was changed`,
      );
}
