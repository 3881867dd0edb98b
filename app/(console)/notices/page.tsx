/** Messages to organizations about what will be deleted, and what became of each. */
import type { Metadata } from 'next';
import { type NoticeRow, notices } from '@/lib/http/console/lists';
import { reading } from '@/lib/http/console/reading';
import { nextOf } from '../parts/deciding';
import { Page, Section } from '../parts/frame';
import { Part } from '../parts/notes';
import { State } from '../parts/state';
import { NextPage, Table } from '../parts/table';
import { Ago, Time } from '../parts/time';
import { shown } from '../shown';
import { type Searched, visit } from '../visit';

export const metadata: Metadata = { title: 'Notices' };

const STATES = {
  open: ['▶', 'Not delivered yet', 'run'],
  delivered: ['✓', 'Delivered', 'good'],
  unsure: ['▲', 'Perhaps delivered', 'wait'],
} as const;

export default shown(async function Notices({ searchParams }: { searchParams: Searched }) {
  const v = await visit('/notices', searchParams, 'audit');
  const found = await reading(v.services, 'The notices', () => notices(v.services, v.asked.after));
  return (
    <Page title="Notices" said={v.said} asOf={v.now}>
      <Section id="notices" title="Messages">
        <Part of={found}>
          {({ entries, next }) => (
            <>
              <Table
                caption="Messages to organizations, newest first"
                rows={entries}
                rowKey={({ id }) => id}
                empty="No organization was told anything. A policy with a notice tells them before their rows go."
                columns={[
                  { name: 'Organization', cell: (n) => <code className="wrap-anywhere">{n.tenant}</code> },
                  { name: 'State', cell: (n) => <Delivery of={n} /> },
                  { name: 'About', cell: (n) => n.policies.join(', ') },
                  { name: 'Rows wait for it', cell: (n) => (n.required ? 'yes' : 'no') },
                  { name: 'Tries', number: true, cell: (n) => n.attempts },
                  { name: 'Begun', cell: (n) => <Ago at={n.created_at} now={v.now} /> },
                  { name: 'Settled', cell: (n) => n.settled_at && <Time at={n.settled_at} /> },
                ]}
              />
              <NextPage href={nextOf('/notices', next)} />
            </>
          )}
        </Part>
      </Section>
    </Page>
  );
});

function Delivery({ of: { state, error } }: { of: NoticeRow }) {
  const [mark, word, tone] = STATES[state];
  return (
    <State mark={mark} word={word} tone={tone}>
      {error}
    </State>
  );
}
