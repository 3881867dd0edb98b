/** Asks for a copy of everything that is held about one subject. */
import type { Metadata } from 'next';
import { Choice, ForWhoMay, Reason } from '../../parts/deciding';
import { Confirm, Field } from '../../parts/forms';
import { Page, Section } from '../../parts/frame';
import { shown } from '../../shown';
import { type Searched, visit } from '../../visit';

export const metadata: Metadata = { title: 'Ask for a copy' };

export default shown(async function NewExport({ searchParams }: { searchParams: Searched }) {
  const v = await visit('/exports/new', searchParams, 'operate');
  return (
    <Page title="Ask for a copy" said={v.said}>
      <Section id="whose" title="Whose data">
        <ForWhoMay visit={v} needs="operate">
          <Confirm
            id="request-export"
            action="/acts/request-export"
            values={{}}
            consequences={[
              'Everything that is held about them is written into one file of the private store, and nothing is changed.',
              'The answer has a link that works once: hand it to the person, and to no one else.',
              'The copy is gone after a week, and with an erasure.',
            ]}
            yes="Make the copy"
            no={{ text: 'Back to the exports', href: '/exports' }}
            danger={false}
            said={v.said}
          >
            {(said) => (
              <>
                <Choice
                  name="scope"
                  label="Whose"
                  said={said}
                  value="user"
                  options={{ user: 'A person', organization: 'An organization' }}
                />
                <Field
                  name="subject"
                  label="Id"
                  said={said}
                  maxLength={200}
                  hint="As the tables have it; never a name or an address."
                />
                <Reason said={said} />
              </>
            )}
          </Confirm>
        </ForWhoMay>
      </Section>
    </Page>
  );
});
