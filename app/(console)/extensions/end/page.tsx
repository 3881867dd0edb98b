/** Ends an extension: the row may go when the cooling-off is over. */
import type { Metadata } from 'next';
import { ForWhoMay, Reason } from '../../parts/deciding';
import { Confirm, TypedName } from '../../parts/forms';
import { Page, Section } from '../../parts/frame';
import { nothingHere, shown } from '../../shown';
import { type Searched, visit } from '../../visit';

export const metadata: Metadata = { title: 'End an extension' };

export default shown(async function EndExtension({ searchParams }: { searchParams: Searched }) {
  const v = await visit('/extensions/end', searchParams, 'audit');
  const { table, key } = v.asked;
  if (table === undefined || key === undefined) nothingHere();
  const days = Math.round(v.services.settings.guards.coolingOffSeconds / 86_400);
  return (
    <Page title="End the extension of 1 row?" said={v.said}>
      <Section id="end" title={`${table}`}>
        <ForWhoMay visit={v} needs="approve">
          <Confirm
            id="end-extension"
            action="/acts/end-extension"
            values={{ table, key }}
            consequences={[
              <>
                Row <code>{key}</code> of {table} may be deleted as its policy says, when the cooling-off of{' '}
                {days} days is over.
              </>,
            ]}
            yes="End 1 extension"
            no={{ text: 'Keep it extended', href: '/extensions' }}
            said={v.said}
          >
            {(said) => (
              <>
                <TypedName name="confirm" value={key} said={said} />
                <Reason said={said} />
              </>
            )}
          </Confirm>
        </ForWhoMay>
      </Section>
    </Page>
  );
});
