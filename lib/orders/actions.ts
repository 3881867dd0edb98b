/**
 * What a person may do with an order in review: resolve it, extend it, pay it back now. Each under the order's
 * row lock and with its state checked, with a reason, and with its entry in the audit chain in the same
 * statement: whoever comes first, the watch or the person, decides, and the other is told.
 */
import { z } from 'zod';
import { keyText, name, table } from '../batch/sql';
import { type Acting, carryOut, send } from '../control/carry-out';
import { RequestError } from '../errors';
import type { OrderReview } from './contract';
import { claim, oneClaimAtATime, orderIs } from './sql';
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
      if (!provider) {
        throw new RequestError(409, 'no_provider', 'set STRIPE_SECRET_KEY first; nothing was changed');
      }
      if (acting.services.settings.dryRun) throw new RequestError(409, 'dry_run', DRY);
      const { services, operator } = acting;
      const statement = claim(review, services.settings.orders, {
        now: services.clock(),
        requestedBy: operator,
        reason,
        order,
        canRefund: true,
        most: 1,
      });
      const [, , rows] = await send(services, [oneClaimAtATime, statement]);
      if (!rows?.[0]) throw await notNow({ ...acting, reason }, review, order);
      return {
        order,
        state: rows[0].state,
        refusedBecause: rows[0].refused_because,
        message: 'the next watch pays back',
      };
    }
  }
}

const DRY = 'refunds are off outside production and in a dry run; nothing was changed';

async function resolve(
  acting: Acting,
  review: OrderReview,
  order: string,
  decision: string,
): Promise<unknown> {
  const { columns, states } = review;
  const status = name(columns.status);
  const done = await carryOut(acting, 'order.resolved', (p) => {
    const key = p.add(order);
    const to = p.add(decision);
    const now = p.add(acting.services.clock().toISOString(), 'timestamptz');
    // From the manual queue too: then its intent is closed, unless the provider may have the refund.
    return {
      before: `found as (
        select t.ctid as place, t.${status} as before, ${keyText('t', [review.key])} as order_key from ${table(review.table)} t
        where ${orderIs(review, key)} and t.${status} in (${p.add(states.inReview)}, ${p.add(states.manual)}) for update
      ), closed as (
        update retention.refund_intent i set state = 'closed', settled_at = ${now} from found f
        where i.order_key = f.order_key and i.state = 'manual'
      ), moved as (
        update ${table(review.table)} t set ${status} = ${to}, ${name(columns.resolvedAt)} = ${now} from found f where t.ctid = f.place
        returning f.order_key, f.before
      )`,
      change: `select order_key, jsonb_build_object('decision', ${to}::text, 'before', before) from moved`,
    };
  });
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
  const done = await carryOut(acting, 'order.extended', (p) => {
    const to = p.add(until.toISOString(), 'timestamptz');
    return `update ${table(review.table)} t set ${column} = ${to}
        where ${orderIs(review, p.add(order))} and t.${name(columns.status)} = ${p.add(states.inReview)}
          and (t.${column} is null or t.${column} < ${to})
          and t.${name(columns.reviewStartedAt)} + make_interval(secs => ${p.add(acting.services.settings.orders.allowedSeconds, 'float8')}) < ${to}
        returning ${keyText('t', [review.key])}, jsonb_build_object('until', ${to})`;
  });
  return done ?? Promise.reject(await notNow(acting, review, order, 'or its deadline is later already'));
}

/** Why nothing was changed. */
async function notNow(acting: Acting, review: OrderReview, order: string, or = ''): Promise<RequestError> {
  const [, rows] = await send(
    acting.services,
    [
      {
        text: `select t.${name(review.columns.status)}::text as status from ${table(review.table)} t where ${orderIs(review, '$1')}`,
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
