/** Every table and what was decided about it; those without a decision first, each with the line to write. */
import type { Metadata } from 'next';
import { type DataMapPage, dataMapPage, type TableLine } from '@/lib/http/console/data-map';
import { reading } from '@/lib/http/console/reading';
import { Page, Section } from '../parts/frame';
import { Part } from '../parts/notes';
import { Table } from '../parts/table';
import { Time } from '../parts/time';
import { shown } from '../shown';
import { visit } from '../visit';

export const metadata: Metadata = { title: 'Data map' };

export default shown(async function DataMap({ searchParams }: PageProps<'/data-map'>) {
  const v = await visit('/data-map', searchParams);
  const page = await reading(v.services, 'The data map', () => dataMapPage(v.services));
  return (
    <Page
      title="Data map"
      said={v.said}
      asOf={v.now}
      acts={
        v.who.may('audit') && (
          <a className="button" href="/blacklist">
            Tables that never expire
          </a>
        )
      }
    >
      <Part of={page}>{(found) => <Shown page={found} />}</Part>
    </Page>
  );
});

function Shown({ page: { findings, tables } }: { page: DataMapPage }) {
  return (
    <>
      <Section id="findings" title={`Without a decision, or adrift (${findings.length})`}>
        <Table
          caption="What the last look at the database found"
          rows={findings}
          rowKey={(f) => `${f.kind} ${f.subject} ${f.problem}`}
          empty="Every table and every personal column has its decision, and the database is as they say. Looked at every day by the cron data-quality."
          columns={[
            { name: 'What', cell: (f) => f.subject },
            { name: 'Problem', cell: (f) => f.problem },
            {
              name: 'What to write or run',
              cell: (f) => <pre className="text-sm whitespace-pre-wrap">{f.remedy}</pre>,
            },
            { name: 'Since', cell: (f) => <Time at={f.since} /> },
          ]}
        />
      </Section>
      <Section id="tables" title={`Tables (${tables.length})`}>
        <Table
          caption="Every table of the data map with its decision"
          rows={tables}
          rowKey={(t) => t.label}
          empty="The data map is empty: npm run adopt writes its first lines into lib/policies/data-map.ts."
          columns={[
            { name: 'Table', cell: (t) => t.label },
            { name: 'Decision', cell: (t) => (t.undecided ? <strong>▲ {t.decision}</strong> : t.decision) },
            { name: 'Deleted by', cell: (t) => t.policies.join(', ') || 'no policy' },
            { name: 'An erasure', cell: erasure },
          ]}
        />
      </Section>
    </>
  );
}

/** What an erasure does with its personal columns, in words. */
function erasure(t: TableLine): string {
  const said = [
    t.subject === null
      ? ''
      : `begins here: each row is ${t.subject === 'user' ? 'a person' : 'an organization'}`,
    t.erased.length > 0 ? `deletes with the row: ${t.erased.join(', ')}` : '',
    t.masked.length > 0 ? `masks ${t.masked.join(', ')}` : '',
    ...t.retained.map((r) => `keeps ${r.columns.join(', ')} (${r.ground})`),
  ].filter(Boolean);
  return said.length > 0 ? said.join('; ') : 'finds no personal column';
}
