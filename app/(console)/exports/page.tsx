/** Copies of what is held about one subject: asked for, written, fetched by a signed link, and gone within a week. */
import type { Metadata } from 'next';
import { type ExportRow, exportRows } from '@/lib/http/console/lists';
import { reading } from '@/lib/http/console/reading';
import { saidTo } from '@/lib/http/console/said';
import { bytesOf, countOf } from '@/lib/http/console/words';
import { mayAct, nextOf } from '../parts/deciding';
import { Field, Post } from '../parts/forms';
import { Page, Section } from '../parts/frame';
import { Part } from '../parts/notes';
import { NextPage, Table } from '../parts/table';
import { Ago, Time } from '../parts/time';
import { shown } from '../shown';
import { type Searched, type Visit, visit } from '../visit';

export const metadata: Metadata = { title: 'Exports' };

const STATES: Record<ExportRow['state'], string> = {
  requested: '▶ Being written',
  written: '✓ Can be fetched',
  withdrawn: '○ Taken back',
  gone: '○ Gone from the store',
};

export default shown(async function Exports({ searchParams }: { searchParams: Searched }) {
  const v = await visit('/exports', searchParams, 'audit');
  const found = await reading(v.services, 'The exports', () => exportRows(v.services, v.asked.after));
  const ask = mayAct(v, 'operate') && (
    <a href="/exports/new" className="button" data-primary="">
      Ask for a copy
    </a>
  );
  return (
    <Page title="Exports" said={v.said} asOf={v.now} acts={ask}>
      <Section id="exports" title="Copies" acts={<a href="/erasures">Erasures</a>}>
        <Part of={found}>
          {({ entries, next }) => (
            <>
              <Table
                caption="Copies for people, newest first"
                rows={entries}
                rowKey={({ id }) => id}
                empty="Nobody asked for a copy. One holds everything that is held about a person or an organization, and is gone after a week."
                columns={[
                  { name: 'Request', cell: (e) => e.reason },
                  { name: 'Of', cell: (e) => (e.scope === 'user' ? 'a person' : 'an organization') },
                  { name: 'State', cell: (e) => STATES[e.state] },
                  {
                    name: 'Asked for',
                    cell: (e) => (
                      <>
                        {e.requested_by}, <Ago at={e.requested_at} now={v.now} />
                      </>
                    ),
                  },
                  {
                    name: 'Size',
                    cell: (e) =>
                      e.rows === null
                        ? null
                        : `${countOf(e.rows)} rows, ${countOf(e.files ?? 0)} files, ${bytesOf(e.bytes ?? 0)}`,
                  },
                  { name: 'Until', cell: (e) => <Time at={e.expires_at} /> },
                  { name: 'Act', cell: (e) => <Decide visit={v} of={e} /> },
                ]}
              />
              <NextPage href={nextOf('/exports', next)} />
            </>
          )}
        </Part>
      </Section>
    </Page>
  );
});

function Decide({ visit: v, of: { id, state } }: { visit: Visit; of: ExportRow }) {
  if (!mayAct(v, 'operate') || (state !== 'written' && state !== 'requested')) return null;
  const acts = [
    ...(state === 'written' ? [{ name: 'link-export', text: 'New link' }] : []),
    { name: 'withdraw-export', text: 'Take back' },
  ];
  return (
    <span className="grid gap-2">
      {acts.map(({ name, text }) => {
        const form = `${name}-${id}`;
        const said = saidTo(v.said, form);
        return (
          <details key={name} open={said !== null && !said.done}>
            <summary className="button list-none">{text}…</summary>
            <Post id={form} action={`/acts/${name}`} values={{ id }} className="mt-2 grid gap-2">
              <Field name="reason" label="Reason" said={said} maxLength={500} />
              <button type="submit" className="button">
                {text}
              </button>
            </Post>
          </details>
        );
      })}
    </span>
  );
}
