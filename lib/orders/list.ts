/** The review queue for a person: who is next, time left, what waits for a decision. Pages by keyset; no personal data. */
import { z } from 'zod';
import { RequestError } from '../platform/errors';
import { maybeRow, type Query, query } from '../platform/query';
import { ask, askOne } from '../platform/session';
import type { OrderSettings } from '../platform/settings/orders';
import { constant, id, raw, type Sql, sql, tableId, typed, utc } from '../platform/sql';
import type { OrderReview } from '../policies/order-contract';
import { declaredReview } from '../policies/order-review';
import type { Services } from '../services';
import { type OrderQueue, queueQuery } from './queue';
import { column, orderIs, orderKey, reviewTimes } from './sql';

const PAGE = 100;
const LIMITS = { statementMs: 15_000, readOnly: true };

const Asked = z.strictObject({
  list: z.enum(['in-review', 'manual', 'refunding', 'without-start']).default('in-review'),
  /** `next` of the page before. */
  after: z
    .string()
    .regex(/^\d{4}-\d\d-\d\dT[\d:.]+Z~.{1,500}$/)
    .optional(),
});

export type OrderList = z.infer<typeof Asked>['list'];
type List = OrderList;

export async function listOrders(
  services: Services,
  url: URL,
  review: OrderReview = declaredReview(services.orderReview),
): Promise<unknown> {
  const parsed = Asked.safeParse(Object.fromEntries(url.searchParams));
  if (!parsed.success) {
    throw new RequestError(
      400,
      'bad_parameter',
      'ask for ?list=in-review, manual, refunding or without-start, and after= the `next` of the page before',
      String(parsed.error.issues[0]?.path[0] ?? 'list'),
    );
  }
  return readOrders(services, parsed.data, review);
}

export interface OrderPage {
  readonly queue: OrderQueue;
  readonly orders: readonly ListedOrder[];
  readonly next: string | null;
}

/** A page of one list, and the whole queue in numbers. */
export async function readOrders(
  services: Services,
  { list, after }: { readonly list: List; readonly after?: string | undefined },
  review: OrderReview = declaredReview(services.orderReview),
): Promise<OrderPage> {
  const now = services.clock();
  const { queue, page } = await ask(
    services.database,
    {
      queue: queueQuery(review, services.settings.orders, now),
      page: pageOf(list, review, services.settings.orders, now, after),
    },
    LIMITS,
  );
  return {
    queue,
    orders: page.map(({ next: _, ...order }) => order),
    next: page.length === PAGE ? (page.at(-1)?.next ?? null) : null,
  };
}

/** The first page of each list in which something can wait for a person, with one request. */
export async function ordersWaiting(
  services: Services,
  review: OrderReview = declaredReview(services.orderReview),
): Promise<Readonly<Record<Exclude<List, 'refunding'>, readonly ListedOrder[]>>> {
  const page = (list: List) => pageOf(list, review, services.settings.orders, services.clock(), undefined);
  return ask(
    services.database,
    { 'in-review': page('in-review'), manual: page('manual'), 'without-start': page('without-start') },
    LIMITS,
  );
}

/** An order as it is shown; what only some lists say is left out in the others. */
const Listed = z.object({
  order: z.string(),
  review_started_at: z.string().nullable(),
  due_at: z.string().nullable(),
  seconds_left: z.number().nullable(),
  sla_status: z.enum(['without_start', 'breached', 'warning', 'within_sla']),
  /** In the smallest unit of the currency; null where the order is gone. */
  amount: z.number().nullable(),
  currency: z.string().nullable(),
  state: z.string().nullish(),
  refused_because: z.string().nullish(),
  refund_id: z.string().nullish(),
  attempts: z.number().nullish(),
  error_class: z.string().nullish(),
  requested_by: z.string().nullish(),
  reason: z.string().nullish(),
  next_attempt_at: z.string().nullish(),
  claimed_at: z.string().nullish(),
});
export type ListedOrder = z.output<typeof Listed>;

const One = Listed.extend({ status: z.string() });
export type OneOrder = z.output<typeof One>;

/** One order with what became of its latest refund; null: there is none of this key. */
export async function readOrder(
  services: Services,
  order: string,
  review: OrderReview = declaredReview(services.orderReview),
): Promise<OneOrder | null> {
  const timing = timingOf(review, services.settings.orders, services.clock());
  const one = sql`select ${orderKey(review)} as order, ${column(review, 'status')}::text as status, ${timing}, i.state, i.refused_because,
      i.refund_id, i.attempts, i.error_class, i.requested_by, i.reason, ${utc(raw('i.next_attempt_at'))} as next_attempt_at,
      ${utc(raw('i.claimed_at'))} as claimed_at
    from ${tableId(review.table)} t left join lateral (select * from retention.refund_intent x where x.order_key = ${orderKey(review)}
      order by x.claimed_at desc limit 1) i on true
    where ${orderIs(review, order)}`;
  return askOne(services.database, query(one, maybeRow(One)), LIMITS);
}

/** `next` is where the page after begins. */
const Page = z.array(Listed.extend({ next: z.string() }));

function pageOf(
  list: List,
  review: OrderReview,
  s: OrderSettings,
  now: Date,
  after: string | undefined,
): Query<z.infer<typeof Page>> {
  const [since, ...rest] = after?.split('~') ?? [];
  const from = { since: typed(since ?? null, 'timestamptz'), key: after ? rest.join('~') : null };
  const timing = timingOf(review, s, now);
  const compose = list === 'without-start' ? withoutStart : list === 'in-review' ? inReview : intents(list);
  return query(compose(review, s, timing, from), (answer) => Page.parse(answer));
}

/** Where a page begins; both null for the first. */
interface From {
  readonly since: Sql;
  readonly key: string | null;
}
type Compose = (review: OrderReview, s: OrderSettings, timing: Sql, from: From) => Sql;

function timingOf(review: OrderReview, s: OrderSettings, now: Date): Sql {
  const { started, at } = reviewTimes(review, s);
  const due = at(s.breachPercent);
  const instant = sql`${now.toISOString()}::timestamptz`;
  return sql`${utc(started)} as review_started_at, ${utc(due)} as due_at,
    extract(epoch from ${due} - ${instant})::float8 as seconds_left,
    case when ${started} is null then 'without_start' when ${due} <= ${instant} then 'breached'
      when ${at(s.warningPercent)} <= ${instant} then 'warning' else 'within_sla' end as sla_status,
    ${column(review, 'amount')}::float8 as amount, ${column(review, 'currency')}::text as currency`;
}

const inReview: Compose = (review, s, timing, { since, key }) => {
  const { started } = reviewTimes(review, s);
  const own = id('t', review.key.column);
  return sql`select ${orderKey(review)} as order, ${timing}, ${utc(started)} || '~' || ${orderKey(review)} as next
    from ${tableId(review.table)} t
    where ${column(review, 'status')} = ${review.states.inReview} and ${started} is not null
      and (${since} is null or (${started}, ${own}) > (${since}, ${typed(key, review.key.type)}))
    order by ${started}, ${own} limit ${constant(PAGE)}`;
};

const withoutStart: Compose = (review, s, timing, { since, key }) => {
  const { started } = reviewTimes(review, s);
  const own = id('t', review.key.column);
  return sql`select ${orderKey(review)} as order, ${timing}, '1970-01-01T00:00:00Z~' || ${orderKey(review)} as next
    from ${tableId(review.table)} t
    where ${column(review, 'status')} = ${review.states.inReview} and ${started} is null
      and (${since} is null or ${own} > ${typed(key, review.key.type)})
    order by ${own} limit ${constant(PAGE)}`;
};

const intents =
  (list: 'manual' | 'refunding'): Compose =>
  (review, _s, timing, { since, key }) => {
    const states = list === 'manual' ? raw("'manual'") : raw("'pending', 'submitted'");
    return sql`select i.order_key as order, ${timing}, i.state, i.refused_because, i.refund_id, i.attempts, i.error_class,
      i.requested_by, i.reason, ${utc(raw('i.next_attempt_at'))} as next_attempt_at, ${utc(raw('i.claimed_at'))} as claimed_at,
      ${utc(raw('i.claimed_at'))} || '~' || i.id as next
    from retention.refund_intent i left join ${tableId(review.table)} t on ${orderIs(review, sql`i.order_key`)}
    where i.state in (${states}) and (${since} is null or (i.claimed_at, i.id) > (${since}, ${typed(key, 'uuid')}))
    order by i.claimed_at, i.id limit ${constant(PAGE)}`;
  };
