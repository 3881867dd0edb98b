/** Permanent tables: what no policy ever takes, and the one way out for an entry, by its hash. */
import type { Metadata } from 'next';
import { numberOf } from '@/lib/http/console/right';
import { tableLabel } from '@/lib/platform/sql';
import { permanentTables } from '@/lib/policies';
import { ForWhoMay, Reason } from '../parts/deciding';
import { Confirm, Field, TypedName } from '../parts/forms';
import { Page, Section } from '../parts/frame';
import { Table } from '../parts/table';
import { shown } from '../shown';
import { type Searched, type Visit, visit } from '../visit';

export const metadata: Metadata = { title: 'Blacklist' };

export default shown(async function Blacklist({ searchParams }: { searchParams: Searched }) {
  const v = await visit('/blacklist', searchParams, 'audit');
  const { table, hash } = v.asked;
  const isNamed = table !== undefined && /^[0-9a-f]{64}$/.test(hash ?? '');
  return (
    <Page title="Blacklist" said={v.said}>
      <Section id="permanent" title="Tables that never expire">
        <Table
          caption="Permanent tables"
          rows={permanentTables}
          rowKey={({ name }) => name}
          empty="No table is declared permanent."
          columns={[
            { name: 'Name', cell: (t) => t.name },
            { name: 'Table', cell: (t) => tableLabel(t.table) },
          ]}
        />
      </Section>
      {isNamed ? <Remove visit={v} table={table} hash={hash!} /> : <Find visit={v} table={table} />}
    </Page>
  );
});

const Find = ({ visit: v, table }: { visit: Visit; table: string | undefined }) => (
  <Section id="find" title="Find an entry">
    <ForWhoMay visit={v} needs="approve">
      <Confirm
        id="find-entry"
        action="/acts/find-entry"
        values={{}}
        consequences={[
          'Only the keyed hash of what you write is used: no page, log or entry has the address.',
        ]}
        yes="Find its hash"
        no={{ text: 'Back to the policies', href: '/' }}
        danger={false}
        said={v.said}
      >
        {(said) => (
          <>
            <Field name="table" label="Table" said={said} value={table ?? first()} options={tables()} />
            <Field name="address" label="Address" said={said} maxLength={320} />
          </>
        )}
      </Confirm>
    </ForWhoMay>
  </Section>
);

const tables = (): string[] => permanentTables.map((t) => tableLabel(t.table));
const first = (): string | undefined => tables()[0];

const Remove = ({ visit: v, table, hash }: { visit: Visit; table: string; hash: string }) => (
  <Section id="remove" title={`Remove 1 entry of ${table}?`}>
    <p>
      Hash <code className="wrap-anywhere">{hash}</code>
    </p>
    <ForWhoMay visit={v} needs="approve">
      <Confirm
        id="remove-entry"
        action="/acts/remove-entry"
        values={{ table, addressHash: hash }}
        consequences={['The address may be written to again. Nothing brings the entry back but another one.']}
        yes="Remove 1 entry"
        no={{ text: 'Leave it there', href: '/blacklist' }}
        said={v.said}
      >
        {(said) => (
          <>
            <TypedName name="confirm" value={numberOf(hash)} said={said} />
            <Reason said={said} hint="The number of the person's request; never the address." />
          </>
        )}
      </Confirm>
    </ForWhoMay>
  </Section>
);
