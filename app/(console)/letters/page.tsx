/** Dead letters: rows that could not be deleted, and files that the store would not delete, the oldest first. */
import type { Metadata } from 'next';
import { type Letter, letters } from '@/lib/http/console/lists';
import { reading } from '@/lib/http/console/reading';
import { saidTo } from '@/lib/http/console/said';
import { policyInWords } from '@/lib/policies/step-names';
import { link, mayAct, nextOf, Reason } from '../parts/deciding';
import { Post } from '../parts/forms';
import { Page, Section } from '../parts/frame';
import { Part } from '../parts/notes';
import { NextPage, Table } from '../parts/table';
import { Ago, Time } from '../parts/time';
import { shown } from '../shown';
import { type Searched, type Visit, visit } from '../visit';

export const metadata: Metadata = { title: 'Dead letters' };

export default shown(async function Letters({ searchParams }: { searchParams: Searched }) {
  const v = await visit('/letters', searchParams, 'audit');
  const kind = v.asked.kind === 'file' ? 'file' : 'row';
  const policy = v.asked.policy || undefined;
  const found = await reading(v.services, 'The dead letters', () =>
    letters(v.services, kind, { after: v.asked.after, policy }),
  );
  const other = kind === 'file' ? 'row' : 'file';
  return (
    <Page title="Dead letters" said={v.said} asOf={v.now}>
      <Section
        id="letters"
        title={`${kind === 'row' ? 'Rows' : 'Files'}${policy ? ` of ${policyInWords(policy)}` : ''}`}
        acts={
          <>
            <a href={link('/letters', { kind: other })}>{other === 'row' ? 'Rows' : 'Files'}</a>
            {policy && <a href={link('/letters', { kind })}>Of every policy</a>}
          </>
        }
      >
        <Part of={found}>
          {({ entries, next }) => (
            <>
              <List entries={entries} kind={kind} now={v.now} />
              <NextPage href={nextOf('/letters', next, { kind, policy })}>Newer</NextPage>
              {policy && entries.length > 0 && <RetryAll visit={v} kind={kind} policy={policy} />}
            </>
          )}
        </Part>
      </Section>
    </Page>
  );
});

const List = ({ entries, kind, now }: { entries: readonly Letter[]; kind: 'row' | 'file'; now: Date }) => (
  <Table
    caption={`Dead letters of ${kind}s, the oldest first`}
    rows={entries}
    rowKey={({ id }) => id}
    empty={
      kind === 'row'
        ? 'Every row that was due could go. A row that the database refuses to delete would be here, with why.'
        : 'Every file that was decided could go. A file that the store refuses to delete would be here, with why.'
    }
    columns={[
      {
        name: 'Key',
        cell: (l) => (
          <a href={`/letters/${kind}/${l.id}`}>
            <code className="wrap-anywhere">{l.row_key}</code>
          </a>
        ),
      },
      { name: 'Table', cell: (l) => l.table_name },
      { name: 'Why', cell: (l) => [l.error, l.constraint_name].filter(Boolean).join(', ') },
      { name: 'Tries', number: true, cell: (l) => l.attempts },
      { name: 'Next try', cell: (l) => l.next_attempt_at && <Time at={l.next_attempt_at} /> },
      { name: 'Since', cell: (l) => <Ago at={l.created_at} now={now} /> },
      { name: 'Who looks after it', cell: (l) => l.assigned_to ?? 'nobody yet' },
    ]}
  />
);

function RetryAll({ visit: v, kind, policy }: { visit: Visit; kind: 'row' | 'file'; policy: string }) {
  if (!mayAct(v, 'operate')) return null;
  return (
    <Post
      id="retry-letters"
      action="/acts/retry-letters"
      values={{ kind, policy }}
      className="grid max-w-xl gap-3"
    >
      <Reason said={saidTo(v.said, 'retry-letters')} />
      <button type="submit" className="button justify-self-start">
        Try all of {policyInWords(policy)} again
      </button>
    </Post>
  );
}
