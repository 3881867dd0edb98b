/** What waits for a person, the most urgent first: what, since when, who may act, and where. */

import type { Metadata } from 'next';
import { urgency, type Waiting } from '@/lib/http/console/attention';
import { shareOf, spanOf } from '@/lib/http/console/words';
import { whoMay } from '@/lib/platform/settings/roles';
import { breakable } from '../parts/breakable';
import { Page, Section } from '../parts/frame';
import { Part } from '../parts/notes';
import { Clock, State } from '../parts/state';
import { Table } from '../parts/table';
import { Ago } from '../parts/time';
import { shown } from '../shown';
import { type Searched, type Visit, visit } from '../visit';
import { whatWaits } from '../waiting';

export const metadata: Metadata = { title: 'Attention' };

const KINDS: Record<Waiting['kind'], string> = {
  guard: 'Guard stop',
  order: 'Order review',
  refund: 'Refund',
  erasure: 'Erasure',
  restore: 'Restore',
  letter: 'Dead letters',
  breaker: 'Breaker open',
  hold: 'Hold to review',
};

export default shown(async function Attention({ searchParams }: { searchParams: Searched }) {
  const v = await visit('/attention', searchParams);
  const found = await whatWaits();
  return (
    <Page title="Attention" said={v.said} asOf={v.now}>
      <Section
        id="waiting"
        title="Waits for a person"
        acts={v.who.may('audit') && <a href="/letters">Dead letters</a>}
      >
        <Part of={found}>
          {({ waiting, unread }) => (
            <>
              {unread.map((what) => (
                <p key={what} role="alert" className="text-bad">
                  ✕ Not read: {what}.
                </p>
              ))}
              <List visit={v} waiting={waiting} />
            </>
          )}
        </Part>
      </Section>
    </Page>
  );
});

function List({ visit: v, waiting }: { visit: Visit; waiting: readonly Waiting[] }) {
  return (
    <Table
      caption="What waits for a person, the most urgent first"
      rows={waiting}
      rowKey={({ kind }, index) => `${kind} ${index}`}
      empty="Nothing waits for a person. Guard stops, second persons, order reviews near their breach, erasures near their day, dead letters, open breakers and holds past their review would be here."
      columns={[
        { name: 'What', cell: (w) => <What of={w} now={v.now} names={v.who.may('audit')} /> },
        { name: 'Waits since', cell: (w) => <Ago at={w.since} now={v.now} /> },
        { name: 'Time left', cell: (w) => <Left of={w} now={v.now} /> },
        { name: 'Who may act', cell: (w) => <Who of={w} /> },
        {
          name: 'Act',
          cell: (w) =>
            v.who.may('audit') && (
              <a href={w.path} className="button" aria-label={`${w.act}: ${w.what}`}>
                {w.act}
              </a>
            ),
        },
      ]}
    />
  );
}

/** Whose sentence names a single record, or has the words of an operator: not for who only looks. */
const SINGLE: readonly Waiting['kind'][] = ['order', 'refund', 'hold'];

const What = ({ of: w, now, names }: { of: Waiting; now: Date; names: boolean }) => (
  <State
    mark={urgency(w, now) >= 1 ? '✕' : '▲'}
    word={KINDS[w.kind]}
    tone={urgency(w, now) >= 1 ? 'bad' : 'wait'}
  >
    {(names || !SINGLE.includes(w.kind)) && <span className="font-normal">{breakable(w.what)}</span>}
  </State>
);

function Left({ of: w, now }: { of: Waiting; now: Date }) {
  const seconds = (w.limit.getTime() - now.getTime()) / 1000;
  const passed = Math.min(1, Math.max(0, urgency(w, now)));
  return (
    <Clock
      left={seconds > 0 ? `${spanOf(seconds)} left` : `late by ${spanOf(-seconds)}`}
      passed={passed}
      late={seconds <= 0}
      label={`${shareOf(passed)} of its time has passed`}
    />
  );
}

const Who = ({ of: { needs, not } }: { of: Waiting }) => (
  <>
    {whoMay(needs)}
    {not && `, not ${not}`}
  </>
);
