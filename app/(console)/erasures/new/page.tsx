/** Asks for an erasure, after a look at what it would do in each table. What is shown is what the form is bound to. */
import type { Metadata } from 'next';
import { numberOf, seeErasure } from '@/lib/http/console/right';
import { bytesOf, countOf, manyOf } from '@/lib/http/console/words';
import { policyInWords } from '@/lib/policies/step-names';
import type { ErasureResult, ErasureStepResult } from '@/lib/rights/result';
import { Choice, ForWhoMay, orRefused, Reason, Refused } from '../../parts/deciding';
import { Confirm, Field, TypedName } from '../../parts/forms';
import { Page, Section } from '../../parts/frame';
import { Table } from '../../parts/table';
import { shown } from '../../shown';
import { type Searched, type Visit, visit } from '../../visit';

export const metadata: Metadata = { title: 'Ask for an erasure' };

export default shown(async function NewErasure({ searchParams }: { searchParams: Searched }) {
  const v = await visit('/erasures/new', searchParams, 'operate');
  const { scope, subject } = v.asked;
  const isAsked = (scope === 'user' || scope === 'organization') && Boolean(subject);
  return (
    <Page
      title={isAsked ? `Erase this ${scope === 'user' ? 'person' : 'organization'}?` : 'Ask for an erasure'}
      said={v.said}
      asOf={v.now}
    >
      {isAsked ? <Look visit={v} scope={scope} subject={subject!} /> : <Ask visit={v} />}
    </Page>
  );
});

function Ask({ visit: v }: { visit: Visit }) {
  return (
    <Section id="whose" title="Whose data">
      <form id="look-at-erasure" className="grid max-w-xl gap-4" action="/erasures/new">
        <Choice
          name="scope"
          label="Whose"
          said={null}
          value={v.asked.scope ?? 'user'}
          options={{ user: 'A person', organization: 'An organization' }}
        />
        <Field
          name="subject"
          label="Id"
          said={null}
          value={v.asked.subject}
          maxLength={200}
          hint="As the tables have it; never a name or an address."
        />
        <button type="submit" className="button justify-self-start" data-primary="">
          Look
        </button>
      </form>
    </Section>
  );
}

async function Look({
  visit: v,
  scope,
  subject,
}: {
  visit: Visit;
  scope: 'user' | 'organization';
  subject: string;
}) {
  const by = { actor: v.who.name, correlationId: 'console' };
  const looked = await orRefused(() => seeErasure(v.services, { scope, id: subject }, by));
  if ('refused' in looked) {
    return (
      <>
        <Refused>{looked.refused}</Refused>
        <Ask visit={v} />
      </>
    );
  }
  const { result, digest } = looked.found;
  const number = numberOf(digest);
  return (
    <>
      <Steps result={result} />
      <Section id="erase" title={`Request ${number}`}>
        <ForWhoMay visit={v} needs="operate" not={refusalOf(result)}>
          <Confirm
            id="request-erasure"
            action="/acts/request-erasure"
            values={{ scope, subject, digest }}
            consequences={[
              `${manyOf(result.deleted, 'row')} and ${manyOf(result.files, 'file')} (${bytesOf(result.bytes)}) go, ${manyOf(result.masked, 'row')} are masked.`,
              'It cannot be undone: copies in archives and exports go too, and a restore of the database erases again.',
              scope === 'user'
                ? 'More than 500 rows wait for a second person; fewer are erased at once.'
                : 'An organization waits for a second person.',
            ]}
            yes={`Erase ${manyOf(result.deleted, 'row')}`}
            no={{ text: 'Erase nothing', href: '/erasures' }}
            said={v.said}
          >
            {(said) => (
              <>
                <TypedName name="confirm" value={number} said={said} />
                <Reason
                  said={said}
                  hint="The number of the person's request, as your file has it; kept in the audit chain, so no personal data."
                />
              </>
            )}
          </Confirm>
        </ForWhoMay>
      </Section>
    </>
  );
}

function refusalOf({ outcome, message, problems }: ErasureResult): string | null {
  if (problems.length > 0)
    return `Nothing can be erased yet: ${problems.map((p) => `${p.problem} (${p.remedy})`).join('; ')}`;
  return outcome === 'errored' ? message : null;
}

const VERBS: Record<ErasureStepResult['action'], string> = {
  delete: 'Delete',
  mask: 'Mask',
  detach: 'Take the reference away',
};

function Steps({ result: { policies, retained, outcome } }: { result: ErasureResult }) {
  return (
    <>
      <Section id="tables" title="What happens in each table">
        {outcome === 'interrupted' && (
          <p className="text-warn">▲ There was no time to count all of it: these are the least.</p>
        )}
        <Table
          caption="What an erasure does in each table"
          rows={policies.filter((p) => p.deleted + p.dependantsDeleted > 0)}
          rowKey={(p) => p.policy}
          empty="Nothing of this subject was found. The request is recorded all the same, and has its certificate."
          columns={[
            { name: 'Table', cell: (p) => p.table ?? policyInWords(p.policy) },
            { name: 'Act', cell: (p) => VERBS[p.action] },
            { name: 'Rows', number: true, cell: (p) => countOf(p.deleted) },
            { name: 'With them', number: true, cell: (p) => countOf(p.dependantsDeleted) },
            { name: 'Files', number: true, cell: (p) => countOf(p.files) },
            { name: 'Held', number: true, cell: (p) => countOf(p.kept.held ?? 0) },
          ]}
        />
      </Section>
      <Section id="kept" title="What is kept by law">
        <Table
          caption="Tables that keep rows of the subject, and on which ground"
          rows={retained}
          rowKey={(r) => `${r.table} ${r.columns.join()}`}
          empty="Nothing of it is kept."
          columns={[
            { name: 'Table', cell: (r) => r.table },
            { name: 'Columns', cell: (r) => r.columns.join(', ') },
            { name: 'Ground', cell: (r) => r.ground },
            { name: 'Until', cell: (r) => r.until },
          ]}
        />
      </Section>
    </>
  );
}
