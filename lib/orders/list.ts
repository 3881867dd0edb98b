/** The review queue for a person: who is next, time left, what waits for a decision. Pages by keyset; no personal data. */
import { z } from 'zod';
import { send } from '../operators/carry-out';
import { RequestError } from '../platform/errors';
import { name, Parameters, table } from '../platform/sql';
import type { OrderReview } from '../policies/order-contract';
import { declaredReview } from '../policies/order-review';
import type { Services } from '../services';
import { queueStatement, readQueue } from './queue';
import { orderColumns, orderIs } from './sql';

const PAGE = 100;
const Query = z.strictObject({
  list: z.enum(['in-review', 'manual', 'refunding', 'without-start']).default('in-review'),
  /** `next` of the page before. */
  after: z
    .string()
    .regex(/^\d{4}-\d\d-\d\dT[\d:.]+Z~.{1,500}$/)
    .optional(),
});

const utc = (x: string) => `to_char(${x} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;

export async function listOrders(
  services: Services,
  url: URL,
  review: OrderReview = declaredReview(services.orderReview),
): Promise<unknown> {
  const parsed = Query.safeParse(Object.fromEntries(url.searchParams));
  if (!parsed.success) {
    throw new RequestError(
      400,
      'bad_parameter',
      'ask for ?list=in-review, manual, refunding or without-start, and after= the `next` of the page before',
      String(parsed.error.issues[0]?.path[0] ?? 'list'),
    );
  }
  const { list, after } = parsed.data;
  const s = services.settings.orders;
  const p = new Parameters();
  const o = orderColumns(review, s, p);
  const at = p.add(services.clock().toISOString(), 'timestamptz');
  const [since, ...rest] = after?.split('~') ?? [];
  const [sinceP, keyP] = [p.add(since ?? null, 'timestamptz'), p.add(after ? rest.join('~') : null)];
  const page = p.add(PAGE, 'int');
  const due = o.at(s.breachPercent);
  const timing = `${utc(o.started)} as review_started_at, ${utc(due)} as due_at,
    extract(epoch from ${due} - ${at})::float8 as seconds_left,
    case when ${o.started} is null then 'without_start' when ${due} <= ${at} then 'breached' when ${o.at(s.warningPercent)} <= ${at} then 'warning' else 'within_sla' end as sla_status,
    ${o.c('amount')}::float8 as amount, ${o.c('currency')}::text as currency`;
  const typed = (x: string) => `${x}::${review.key.type}`;
  const statement =
    list === 'without-start'
      ? p.statement(`select ${o.key} as order, ${timing}, '1970-01-01T00:00:00Z~' || ${o.key} as next
          from ${table(review.table)} t where ${o.c('status')} = ${p.add(review.states.inReview)} and ${o.started} is null
            and (${sinceP} is null or t.${name(review.key.column)} > ${typed(keyP)})
          order by t.${name(review.key.column)} limit ${page}`)
      : list === 'in-review'
        ? p.statement(`select ${o.key} as order, ${timing}, ${utc(o.started)} || '~' || ${o.key} as next
          from ${table(review.table)} t where ${o.c('status')} = ${p.add(review.states.inReview)} and ${o.started} is not null
            and (${sinceP} is null or (${o.started}, t.${name(review.key.column)}) > (${sinceP}, ${typed(keyP)}))
          order by ${o.started}, t.${name(review.key.column)} limit ${page}`)
        : p.statement(`select i.order_key as order, ${timing}, i.state, i.refused_because, i.refund_id, i.attempts, i.error_class,
            i.requested_by, i.reason, ${utc('i.next_attempt_at')} as next_attempt_at, ${utc('i.claimed_at')} as claimed_at,
            ${utc('i.claimed_at')} || '~' || i.id as next
          from retention.refund_intent i left join ${table(review.table)} t on ${orderIs(review, 'i.order_key')}
          where ${list === 'manual' ? "i.state = 'manual'" : "i.state in ('pending', 'submitted')"}
            and (${sinceP} is null or (i.claimed_at, i.id) > (${sinceP}, ${keyP}::uuid))
          order by i.claimed_at, i.id limit ${page}`);
  const [, queue = [], rows = []] = await send(
    services,
    [queueStatement(review, s, services.clock()), statement],
    true,
  );
  return {
    queue: readQueue(queue),
    orders: rows.map(({ next: _, ...row }) => row),
    next: rows.length === PAGE ? rows.at(-1)?.next : null,
  };
}
