/** Extensions: rows that stay longer than their policy says, and until when. */
import type { Metadata } from 'next';
import { extensions } from '@/lib/http/console/lists';
import { reading } from '@/lib/http/console/reading';
import { link, mayAct, nextOf } from '../parts/deciding';
import { Page, Section } from '../parts/frame';
import { Part } from '../parts/notes';
import { NextPage, Table } from '../parts/table';
import { Time } from '../parts/time';
import { shown } from '../shown';
import { type Searched, visit } from '../visit';

export const metadata: Metadata = { title: 'Extensions' };

export default shown(async function Extensions({ searchParams }: { searchParams: Searched }) {
  const v = await visit('/extensions', searchParams, 'audit');
  const found = await reading(v.services, 'The extensions', () => extensions(v.services, v.asked.after));
  const mayEnd = mayAct(v, 'approve');
  const acts = mayAct(v, 'operate') && (
    <>
      <a href="/extensions/new" className="button">
        Extend a row
      </a>
      <a href="/extensions/day" className="button">
        Extend a day
      </a>
    </>
  );
  return (
    <Page title="Extensions" said={v.said} asOf={v.now} acts={acts}>
      <Section id="extensions" title="In force" acts={<a href="/holds">Holds</a>}>
        <Part of={found}>
          {({ entries, next }) => (
            <>
              <Table
                caption="Extensions in force, the one that lasts longest first"
                rows={entries}
                rowKey={(e) => `${e.table_name} ${e.row_key}`}
                empty="No row is extended. An extension keeps one row until a day; the calendar extends all of an organization on one day."
                columns={[
                  { name: 'Row', cell: (e) => <code className="wrap-anywhere">{e.row_key}</code> },
                  { name: 'Table', cell: (e) => e.table_name },
                  { name: 'Until', cell: (e) => <Time at={e.keep_until} /> },
                  { name: 'By', cell: (e) => e.extended_by },
                  { name: 'Reason', cell: (e) => e.reason },
                  {
                    name: 'Act',
                    cell: (e) =>
                      mayEnd && (
                        <a
                          className="button"
                          href={link('/extensions/end', { table: e.table_name, key: e.row_key })}
                          aria-label={`End the extension of ${e.row_key}`}
                        >
                          End…
                        </a>
                      ),
                  },
                ]}
              />
              <NextPage href={nextOf('/extensions', next)} />
            </>
          )}
        </Part>
      </Section>
    </Page>
  );
});
