/** One dead letter: why it could not go, and four ways to go on. */
import type { Metadata } from 'next';
import { z } from 'zod';
import { nextStepOf } from '@/lib/http/console/letter-steps';
import { type Letter, letterOf } from '@/lib/http/console/lists';
import { policyInWords } from '@/lib/policies/step-names';
import { Facts, ForWhoMay, link, Reason } from '../../../parts/deciding';
import { Confirm, Field } from '../../../parts/forms';
import { Page, Section } from '../../../parts/frame';
import { Empty } from '../../../parts/notes';
import { Time } from '../../../parts/time';
import { nothingHere, shown } from '../../../shown';
import { type Visit, visit } from '../../../visit';

export const metadata: Metadata = { title: 'Dead letter' };

const ID = { row: z.uuid(), file: z.string().regex(/^[1-9]\d{0,17}$/) } as const;

export default shown(async function DeadLetter({ params, searchParams }: PageProps<'/letters/[kind]/[id]'>) {
  const { kind, id } = await params;
  const v = await visit(`/letters/${kind}/${id}`, searchParams, 'audit');
  if ((kind !== 'row' && kind !== 'file') || !ID[kind].safeParse(id).success) nothingHere();
  const letter = await letterOf(v.services, kind, id);
  return (
    <Page
      title={letter ? `A ${kind} of ${policyInWords(letter.policy)} could not go` : 'Dead letter'}
      said={v.said}
      asOf={v.now}
    >
      {letter ? (
        <Open visit={v} kind={kind} letter={letter} />
      ) : (
        <Empty>
          It is not open any more: it was tried again, discarded, or its row has gone.{' '}
          <a href={link('/letters', { kind })}>Dead letters</a>
        </Empty>
      )}
    </Page>
  );
});

function Open({ visit: v, kind, letter }: { visit: Visit; kind: 'row' | 'file'; letter: Letter }) {
  const values = { kind, id: letter.id };
  const back = { text: 'Leave it', href: link('/letters', { kind }) };
  return (
    <>
      <Section id="letter" title="Why">
        <Facts
          of={{
            Key: <code>{letter.row_key}</code>,
            Table: letter.table_name,
            Error: letter.error && (kind === 'row' ? `SQLSTATE ${letter.error}` : letter.error),
            Constraint: letter.constraint_name,
            'Next step': nextStepOf(kind, letter),
            Tries: letter.attempts,
            'Next try': letter.next_attempt_at && <Time at={letter.next_attempt_at} />,
            Since: <Time at={letter.created_at} />,
            'Looked after by': letter.assigned_to ?? 'nobody yet',
          }}
        />
      </Section>
      <Section id="retry" title="Try again">
        <ForWhoMay visit={v} needs="operate">
          <Confirm
            id="retry-letter"
            action="/acts/retry-letter"
            values={values}
            consequences={['It is due now. If what kept it is still there, it comes back here.']}
            yes="Try again"
            no={back}
            danger={false}
            said={v.said}
          >
            {(said) => <Reason said={said} />}
          </Confirm>
        </ForWhoMay>
      </Section>
      <Section id="assign" title="Assign">
        <ForWhoMay visit={v} needs="operate">
          <Confirm
            id="assign-letter"
            action="/acts/assign-letter"
            values={values}
            consequences={['The name stands in the list; nothing else changes.']}
            yes="Assign"
            no={back}
            danger={false}
            said={v.said}
          >
            {(said) => (
              <>
                <Field
                  name="to"
                  label="Operator"
                  said={said}
                  options={[...new Set(v.services.settings.operators.map((o) => o.name))]}
                />
                <Reason said={said} />
              </>
            )}
          </Confirm>
        </ForWhoMay>
      </Section>
      <Section id="discard" title="Discard">
        <ForWhoMay visit={v} needs="operate">
          <Confirm
            id="discard-letter"
            action="/acts/discard-letter"
            values={values}
            consequences={[
              kind === 'row'
                ? 'The row stays in the database forever; no run tries it again.'
                : 'The file stays in the store forever.',
            ]}
            yes={`Discard 1 ${kind}`}
            no={back}
            said={v.said}
          >
            {(said) => <Reason said={said} />}
          </Confirm>
        </ForWhoMay>
      </Section>
    </>
  );
}
