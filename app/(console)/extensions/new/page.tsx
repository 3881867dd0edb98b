/** Keeps one row longer: it protects, so that a reason is enough. */
import type { Metadata } from 'next';
import { tableLabel } from '@/lib/platform/sql';
import { ForWhoMay, Reason } from '../../parts/deciding';
import { Confirm, Field } from '../../parts/forms';
import { Page, Section } from '../../parts/frame';
import { shown } from '../../shown';
import { type Searched, visit } from '../../visit';

export const metadata: Metadata = { title: 'Extend a row' };

export default shown(async function NewExtension({ searchParams }: { searchParams: Searched }) {
  const v = await visit('/extensions/new', searchParams, 'operate');
  const tables = [...new Set(v.services.policies.map((p) => tableLabel(p.table)))].sort();
  return (
    <Page title="Extend a row" said={v.said}>
      <Section id="extend" title="Which row">
        <ForWhoMay visit={v} needs="operate">
          <Confirm
            id="extend-row"
            action="/acts/extend-row"
            values={{}}
            consequences={[
              'The row stays until the day you name, whatever its policy says; from then on its policy decides again. An erasure does not wait for it.',
              'A shorter day than the one it has counts only after the cooling-off.',
            ]}
            yes="Extend the row"
            no={{ text: 'Back to the extensions', href: '/extensions' }}
            danger={false}
            said={v.said}
          >
            {(said) => (
              <>
                <Field name="table" label="Table" said={said} value={v.asked.table} options={tables} />
                <Field
                  name="key"
                  label="Key"
                  said={said}
                  value={v.asked.key}
                  hint="As the table has it; of several columns a JSON array."
                />
                <Field name="keepUntil" type="date" label="Keep until (UTC)" said={said} />
                <Reason said={said} />
              </>
            )}
          </Confirm>
        </ForWhoMay>
      </Section>
    </Page>
  );
});
