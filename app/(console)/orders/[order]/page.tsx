/** One order in review: the time that is left, and what a person may decide: resolve, refund now, extend, confirm. */
import type { Metadata } from 'next';
import { money } from '@/lib/http/console/attention';
import { digestOfOrder } from '@/lib/http/console/order-acts';
import { spanOf } from '@/lib/http/console/words';
import { type OneOrder, readOrder } from '@/lib/orders/list';
import type { OrderReview } from '@/lib/policies/order-contract';
import { Choice, Facts, ForWhoMay, orRefused, Reason, Refused } from '../../parts/deciding';
import { Confirm, Field } from '../../parts/forms';
import { Page, Section } from '../../parts/frame';
import { Time } from '../../parts/time';
import { nothingHere, shown } from '../../shown';
import { type Visit, visit } from '../../visit';

export const metadata: Metadata = { title: 'Order' };

const BACK = { text: 'Decide nothing', href: '/orders' };

export default shown(async function Order({ params, searchParams }: PageProps<'/orders/[order]'>) {
  const key = decodeURIComponent((await params).order);
  const v = await visit(`/orders/${encodeURIComponent(key)}`, searchParams, 'audit');
  const { orderReview: review } = v.services;
  if (!review) nothingHere();
  const looked = await orRefused(() => readOrder(v.services, key));
  if ('refused' in looked) return <Refused>{looked.refused}</Refused>;
  const order = looked.found;
  if (order === null) nothingHere();
  const { states } = review;
  const isOpen = order.status === states.inReview || order.status === states.manual;
  const isSecond = order.state === 'manual' && order.refused_because === 'second_operator';
  return (
    <Page title={`Order ${order.order}`} said={v.said} asOf={v.now}>
      <About order={order} />
      {isSecond && <ConfirmRefund visit={v} order={order} />}
      {isOpen && <Resolve visit={v} order={order} review={review} />}
      {isOpen && !isSecond && <Refund visit={v} order={order} />}
      {order.status === states.inReview && <Extend visit={v} order={order} />}
    </Page>
  );
});

const About = ({ order: o }: { order: OneOrder }) => (
  <Section id="order" title={o.status}>
    <Facts
      of={{
        Amount: money(o),
        'In review since': o.review_started_at ? (
          <Time at={o.review_started_at} />
        ) : (
          'has no start: it never refunds itself'
        ),
        'Refunds itself': o.due_at && <Time at={o.due_at} />,
        'Time left':
          o.seconds_left === null
            ? null
            : o.seconds_left > 0
              ? `${spanOf(o.seconds_left)} left`
              : `late by ${spanOf(-o.seconds_left)}`,
        Refund: o.state,
        'Not made because': o.refused_because?.replaceAll('_', ' ') ?? o.error_class,
        'Asked for by': o.requested_by,
        Reason: o.reason,
        Tries: o.attempts,
      }}
    />
  </Section>
);

interface Of {
  readonly visit: Visit;
  readonly order: OneOrder;
}

function ConfirmRefund({ visit: v, order }: Of) {
  const own =
    order.requested_by === v.who.name ? 'You asked for this refund: another person confirms it.' : null;
  return (
    <Section id="confirm" title={`Pay back ${money(order)}?`}>
      <ForWhoMay visit={v} needs="approve" not={own}>
        <Confirm
          id="confirm-refund"
          action="/acts/confirm-refund"
          values={{ order: order.order, digest: digestOfOrder(order) }}
          consequences={[
            `It is above the caps: ${order.requested_by} asked for it, and you let it go. The next watch pays back.`,
          ]}
          yes={`Pay back ${money(order)}`}
          no={BACK}
          said={v.said}
        >
          {(said) => <Reason said={said} />}
        </Confirm>
      </ForWhoMay>
    </Section>
  );
}

const Refund = ({ visit: v, order }: Of) => (
  <Section id="refund" title={`Refund ${money(order)} now?`}>
    <ForWhoMay visit={v} needs="operate">
      <Confirm
        id="refund-order"
        action="/acts/refund-order"
        values={{ order: order.order, digest: digestOfOrder(order) }}
        consequences={['The next watch pays back; above the caps a second person confirms it first.']}
        yes={`Refund ${money(order)}`}
        no={BACK}
        said={v.said}
      >
        {(said) => <Reason said={said} />}
      </Confirm>
    </ForWhoMay>
  </Section>
);

const Resolve = ({ visit: v, order, review }: Of & { review: OrderReview }) => (
  <Section id="resolve" title="Resolve">
    <ForWhoMay visit={v} needs="operate">
      <Confirm
        id="resolve-order"
        action="/acts/resolve-order"
        values={{ order: order.order, digest: digestOfOrder(order) }}
        consequences={['The review ends, and the order does not refund itself.']}
        yes="Resolve the order"
        no={BACK}
        danger={false}
        said={v.said}
      >
        {(said) => (
          <>
            <Choice
              name="decision"
              label="Decision"
              said={said}
              options={Object.fromEntries(review.states.decisions.map((d) => [d, d]))}
            />
            <Reason said={said} />
          </>
        )}
      </Confirm>
    </ForWhoMay>
  </Section>
);

const Extend = ({ visit: v, order }: Of) => (
  <Section id="extend" title="Extend">
    <ForWhoMay visit={v} needs="operate">
      <Confirm
        id="extend-order"
        action="/acts/extend-order"
        values={{ order: order.order }}
        consequences={['It refunds itself later, at most 31 days from now.']}
        yes="Extend the review"
        no={BACK}
        danger={false}
        said={v.said}
      >
        {(said) => (
          <>
            <Field name="until" type="datetime-local" label="Until (UTC)" said={said} />
            <Reason said={said} />
          </>
        )}
      </Confirm>
    </ForWhoMay>
  </Section>
);
