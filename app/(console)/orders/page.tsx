/** Orders in review: who is next and how much time is left, what waits for a person, and refunds on their way. */
import type { Metadata } from 'next';
import { money } from '@/lib/http/console/attention';
import { reading } from '@/lib/http/console/reading';
import { countOf, shareOf, spanOf } from '@/lib/http/console/words';
import { type ListedOrder, type OrderList, readOrders } from '@/lib/orders/list';
import { Facts, nextOf, orNotFound } from '../parts/deciding';
import { Page, Section } from '../parts/frame';
import { Empty, Part } from '../parts/notes';
import { Clock, State } from '../parts/state';
import { NextPage, Table } from '../parts/table';
import { shown } from '../shown';
import { type Searched, type Visit, visit } from '../visit';

export const metadata: Metadata = { title: 'Orders' };

const LISTS: Record<OrderList, string> = {
  'in-review': 'In review',
  manual: 'Waits for a person',
  refunding: 'Being refunded',
  'without-start': 'Without a start',
};

export default shown(async function Orders({ searchParams }: { searchParams: Searched }) {
  const v = await visit('/orders', searchParams, 'audit');
  const list = (Object.keys(LISTS) as OrderList[]).find((l) => l === v.asked.list) ?? 'in-review';
  return (
    <Page title="Orders" said={v.said} asOf={v.now}>
      {v.services.orderReview ? (
        <Queue visit={v} list={list} />
      ) : (
        <Empty>No order review is declared here: lib/policies/order-review.ts would declare it.</Empty>
      )}
    </Page>
  );
});

async function Queue({ visit: v, list }: { visit: Visit; list: OrderList }) {
  const found = await orNotFound(
    reading(v.services, 'The orders', () => readOrders(v.services, { list, after: v.asked.after })),
  );
  return (
    <>
      <nav aria-label="Lists of orders" className="flex flex-wrap gap-2">
        {Object.entries(LISTS).map(([name, text]) => (
          <a
            key={name}
            href={`/orders?list=${name}`}
            className="button"
            aria-current={name === list ? 'page' : undefined}
          >
            {text}
          </a>
        ))}
      </nav>
      <Section id="orders" title={LISTS[list]}>
        <Part of={found}>
          {({ queue, orders, next }) => (
            <>
              <Facts
                of={{
                  'In review': `${countOf(queue.inReview)}, ${countOf(queue.warning)} near their breach, ${countOf(queue.breached)} past it`,
                  'Waits for a person': `${countOf(queue.manual)}${queue.manual > 0 ? `, the oldest for ${spanOf(queue.oldestManualSeconds)}` : ''}`,
                  'Being refunded': countOf(queue.refunding),
                }}
              />
              <List orders={orders} />
              <NextPage href={nextOf('/orders', next, { list })}>Later</NextPage>
            </>
          )}
        </Part>
      </Section>
    </>
  );
}

const List = ({ orders }: { orders: readonly ListedOrder[] }) => (
  <Table
    caption="Orders, the one whose review began first before the others"
    rows={orders}
    rowKey={({ order }) => order}
    empty="No order is here. One in review would be, with the time that is left until it refunds itself."
    columns={[
      { name: 'Order', cell: (o) => <a href={`/orders/${encodeURIComponent(o.order)}`}>{o.order}</a> },
      { name: 'Amount', number: true, cell: money },
      { name: 'State', cell: (o) => <Stage of={o} /> },
      { name: 'Time left', cell: (o) => <Left of={o} /> },
      {
        name: 'Why',
        cell: (o) => [o.refused_because?.replaceAll('_', ' '), o.error_class].filter(Boolean).join(', '),
      },
    ]}
  />
);

const SLA = {
  within_sla: ['▶', 'In time', 'run'],
  warning: ['▲', 'Near its breach', 'wait'],
  breached: ['✕', 'Past its breach', 'bad'],
  without_start: ['▲', 'Has no start', 'wait'],
} as const;

function Stage({ of: { sla_status: sla } }: { of: ListedOrder }) {
  const [mark, word, tone] = SLA[sla];
  return <State mark={mark} word={word} tone={tone} />;
}

function Left({ of: { seconds_left: left, review_started_at: from, due_at: due } }: { of: ListedOrder }) {
  if (left === null || from === null || due === null) return 'never refunds itself';
  const whole = Math.max(1, (Date.parse(due) - Date.parse(from)) / 1000);
  const passed = Math.min(1, Math.max(0, 1 - left / whole));
  return (
    <Clock
      left={left > 0 ? `${spanOf(left)} left` : `late by ${spanOf(-left)}`}
      passed={passed}
      late={left <= 0}
      label={`${shareOf(passed)} of the review has passed`}
    />
  );
}
