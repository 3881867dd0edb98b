/** Legal holds: what may not be deleted by any path, who said so, and what each keeps now. */

import type { Metadata } from 'next';
import { rowsOf } from '@/lib/http/console/hold-acts';
import { type Held, holds } from '@/lib/http/console/lists';
import { reading } from '@/lib/http/console/reading';
import { breakable } from '../parts/breakable';
import { mayAct, nextOf } from '../parts/deciding';
import { Page, Section } from '../parts/frame';
import { Part } from '../parts/notes';
import { NextPage, Table } from '../parts/table';
import { Ago, Time } from '../parts/time';
import { shown } from '../shown';
import { type Searched, visit } from '../visit';

export const metadata: Metadata = { title: 'Holds' };

export default shown(async function Holds({ searchParams }: { searchParams: Searched }) {
  const v = await visit('/holds', searchParams, 'audit');
  const released = v.asked.released === '1';
  const { after } = v.asked;
  const found = await reading(v.services, 'The holds', () => holds(v.services, { released, after }));
  const place = mayAct(v, 'operate') && (
    <a href="/holds/new" className="button" data-primary="">
      Place a hold
    </a>
  );
  return (
    <Page title="Holds" said={v.said} asOf={v.now} acts={place}>
      <Section
        id="holds"
        title={released ? 'Released' : 'In force'}
        acts={
          <>
            <a href={released ? '/holds' : '/holds?released=1'}>{released ? 'In force' : 'Released'}</a>
            <a href="/extensions">Extensions</a>
          </>
        }
      >
        <Part of={found}>
          {({ entries, next }) => (
            <>
              <Table
                caption={released ? 'Holds that were released' : 'Holds in force'}
                rows={entries}
                rowKey={({ id }) => id}
                empty={
                  released
                    ? 'No hold was released.'
                    : 'Nothing is held. A hold keeps the rows of an organization, of a user, or one row, from every path of deletion.'
                }
                columns={[
                  { name: 'Case', cell: (h) => <a href={`/holds/${h.id}`}>{breakable(h.reason)}</a> },
                  { name: 'Keeps', cell: (h) => <Scope of={h} /> },
                  {
                    name: 'Placed',
                    cell: (h) => (
                      <>
                        {h.placed_by}, <Ago at={h.placed_at} now={v.now} />
                      </>
                    ),
                  },
                  released
                    ? {
                        name: 'Released',
                        cell: (h) => (
                          <>
                            {h.released_by}, <Ago at={h.released_at!} now={v.now} />
                          </>
                        ),
                      }
                    : { name: 'Rows now', cell: (h) => <Kept of={h} /> },
                  { name: 'Review', cell: (h) => <Review of={h} now={v.now} /> },
                ]}
              />
              <NextPage href={nextOf('/holds', next, { released: released ? '1' : undefined })} />
            </>
          )}
        </Part>
      </Section>
    </Page>
  );
});

const Scope = ({ of: { scope, subject, table_name: table } }: { of: Held }) => (
  <>
    {scope === 'item' ? `row of ${table}` : scope} <code className="wrap-anywhere">{subject}</code>
  </>
);

function Kept({ of: { keeps } }: { of: Held }) {
  if (!keeps) return null;
  if (keeps.matches === 'misspelled') {
    return (
      <strong className="text-bad">
        ✕ Keeps nothing: rows print this as {keeps.printedAs.join(', ')}. Set it again.
      </strong>
    );
  }
  return rowsOf(keeps.covers);
}

function Review({ of: { review_at: at, released_at: released }, now }: { of: Held; now: Date }) {
  if (at === null) return 'no day named';
  const isOver = released === null && new Date(at) <= now;
  return (
    <span className={isOver ? 'text-warn' : undefined}>
      {isOver && '▲ over since '}
      <Time at={at} />
    </span>
  );
}
