/** Archives that rows can be brought back from, and what was brought back. */

import type { Metadata } from 'next';
import { z } from 'zod';
import { type ArchiveRow, archives, type RestoreRow, restores } from '@/lib/http/console/lists';
import { reading } from '@/lib/http/console/reading';
import { bytesOf, countOf } from '@/lib/http/console/words';
import { breakable } from '../parts/breakable';
import { link, mayAct, nextOf } from '../parts/deciding';
import { Field } from '../parts/forms';
import { Page, Section } from '../parts/frame';
import { Part } from '../parts/notes';
import { NextPage, Table } from '../parts/table';
import { Ago, Time } from '../parts/time';
import { shown } from '../shown';
import { type Searched, type Visit, visit } from '../visit';

export const metadata: Metadata = { title: 'Archives' };

export default shown(async function Restores({ searchParams }: { searchParams: Searched }) {
  const v = await visit('/restores', searchParams, 'audit');
  const search = searchOf(v);
  const [held, done] = await Promise.all([
    reading(v.services, 'The archives', () => archives(v.services, { ...search, after: v.asked.after })),
    reading(v.services, 'The restores', () => restores(v.services, v.asked.restores)),
  ]);
  const ask = mayAct(v, 'operate') && (
    <a href="/restores/new" className="button" data-primary="">
      Restore
    </a>
  );
  return (
    <Page title="Archives" said={v.said} asOf={v.now} acts={ask}>
      <Section id="archives" title="What can be restored">
        <Search visit={v} />
        <Part of={held}>
          {({ entries, next }) => (
            <>
              <Archives visit={v} entries={entries} />
              <NextPage href={nextOf('/restores', next, search)} />
            </>
          )}
        </Part>
      </Section>
      <Section id="restores" title="What was restored">
        <Part of={done}>
          {({ entries, next }) => (
            <>
              <Done entries={entries} now={v.now} />
              <NextPage href={next === null ? null : link('/restores', { ...search, restores: next })} />
            </>
          )}
        </Part>
      </Section>
    </Page>
  );
});

function searchOf({ asked }: Visit): { policy?: string; run?: string; organization?: string; key?: string } {
  const { policy, run, organization, key } = asked;
  return {
    ...(policy ? { policy } : {}),
    // What is no run's id finds no archive.
    ...(run ? { run: z.uuid().safeParse(run).success ? run : '00000000-0000-0000-0000-000000000000' } : {}),
    ...(organization ? { organization } : {}),
    ...(key ? { key } : {}),
  };
}

const Search = ({ visit: { asked } }: { visit: Visit }) => (
  <form id="find-archives" action="/restores" className="grid gap-3 sm:grid-cols-2 lg:grid-cols-4">
    <Field name="policy" label="Policy" said={null} value={asked.policy} required={false} />
    <Field name="run" label="Run" said={null} value={asked.run} required={false} />
    <Field name="organization" label="Organization" said={null} value={asked.organization} required={false} />
    <Field name="key" label="Key of a row" said={null} value={asked.key} required={false} />
    <button type="submit" className="button justify-self-start">
      Find
    </button>
  </form>
);

const Archives = ({ visit: v, entries }: { visit: Visit; entries: readonly ArchiveRow[] }) => (
  <Table
    caption="Archives that are kept, newest first"
    rows={entries}
    rowKey={({ id }) => id}
    empty="No archive holds this. A policy with the strategy archive writes one before each batch deletes."
    columns={[
      { name: 'Policy', cell: (a) => a.policy },
      { name: 'Deleted', cell: (a) => <Ago at={a.created_at} now={v.now} /> },
      { name: 'Rows', number: true, cell: (a) => countOf(a.rows) },
      { name: 'With them', number: true, cell: (a) => countOf(a.dependants) },
      { name: 'Files', number: true, cell: (a) => countOf(a.files) },
      { name: 'Size', number: true, cell: (a) => bytesOf(a.bytes) },
      { name: 'Erased since', number: true, cell: (a) => countOf(a.dead_rows) },
      { name: 'Kept until', cell: (a) => (a.expires_at ? <Time at={a.expires_at} /> : 'forever') },
      {
        name: 'Act',
        cell: (a) =>
          mayAct(v, 'operate') && (
            <a
              className="button"
              href={link('/restores/new', { scope: 'run', subject: a.run, policy: a.policy })}
              aria-label={`Restore run ${a.run}`}
            >
              Restore run…
            </a>
          ),
      },
    ]}
  />
);

const STATES: Record<RestoreRow['state'], string> = {
  requested: '▲ Waits for a second person',
  confirmed: '▶ Confirmed',
  open: '▶ Being restored',
  done: '✓ Done',
  withdrawn: '○ Withdrawn',
};

const Done = ({ entries, now }: { entries: readonly RestoreRow[]; now: Date }) => (
  <Table
    caption="Restores, newest first"
    rows={entries}
    rowKey={({ id }) => id}
    empty="Nothing was restored."
    columns={[
      { name: 'Request', cell: (r) => <a href={`/restores/${r.id}`}>{breakable(r.reason)}</a> },
      { name: 'Of', cell: (r) => (r.scope === 'item' ? `one row of ${r.policy}` : r.scope) },
      { name: 'State', cell: (r) => STATES[r.state] },
      { name: 'Rows found', number: true, cell: (r) => countOf(r.rows_found) },
      { name: 'Restored', number: true, cell: (r) => countOf(r.counts.restored ?? 0) },
      {
        name: 'Asked for',
        cell: (r) => (
          <>
            {r.requested_by}, <Ago at={r.requested_at} now={now} />
          </>
        ),
      },
    ]}
  />
);
