/** Places a hold: it protects, so that a reason is enough. */
import { randomUUID } from 'node:crypto';
import type { Metadata } from 'next';
import { tableLabel } from '@/lib/platform/sql';
import { Choice, ForWhoMay, Reason } from '../../parts/deciding';
import { Confirm, Field } from '../../parts/forms';
import { Page, Section } from '../../parts/frame';
import { shown } from '../../shown';
import { type Searched, visit } from '../../visit';

export const metadata: Metadata = { title: 'Place a hold' };

/** A quarter: as long as most cases let one be without a look. */
const REVIEW_DAYS = 90;

export default shown(async function NewHold({ searchParams }: { searchParams: Searched }) {
  const v = await visit('/holds/new', searchParams, 'operate');
  const { scope, subject, table } = v.asked;
  const review = new Date(v.now.getTime() + REVIEW_DAYS * 86_400_000).toISOString().slice(0, 10);
  const tables = [...new Set(v.services.policies.map((p) => tableLabel(p.table)))].sort();
  return (
    <Page title="Place a hold" said={v.said}>
      <Section id="place" title="What is kept">
        <ForWhoMay visit={v} needs="operate">
          <Confirm
            id="place-hold"
            action="/acts/place-hold"
            values={{ once: v.said?.typed.once ?? randomUUID() }}
            consequences={[
              'Nothing of it is deleted by any path until the hold is released: policies, erasures, files, archives.',
              'The answer comes when no batch that began earlier is still running.',
              'Another person releases it.',
            ]}
            yes="Place the hold"
            no={{ text: 'Back to the holds', href: '/holds' }}
            danger={false}
            said={v.said}
          >
            {(said) => (
              <>
                <Choice
                  name="scope"
                  label="Whose rows"
                  said={said}
                  value={scope ?? 'organization'}
                  options={{ organization: 'Of an organization', user: 'Of a user', item: 'One row' }}
                />
                <Field
                  name="subject"
                  label="Id"
                  said={said}
                  value={subject}
                  hint="As the table has it; of several columns a JSON array."
                />
                <Field
                  name="table"
                  label="Table, for one row"
                  said={said}
                  value={table}
                  required={false}
                  options={tables}
                />
                <Field
                  name="reviewAt"
                  type="date"
                  label="Day of review (UTC)"
                  said={said}
                  value={review}
                  hint="It stays in force after it; somebody is asked to look."
                />
                <label className="flex min-h-11 items-center gap-2">
                  <input
                    type="checkbox"
                    name="force"
                    value="yes"
                    defaultChecked={said?.typed.force === 'yes'}
                  />
                  Its rows are still to come: place it although it covers none now
                </label>
                <Reason
                  said={said}
                  hint="The case, as whoever releases it has to type it: a number of your file, no personal data."
                />
              </>
            )}
          </Confirm>
        </ForWhoMay>
      </Section>
    </Page>
  );
});
