/** Restores from archives, after a look that writes nothing: what would come back, and what is in the way. */
import type { Metadata } from 'next';
import { type RestoreAsk, seeRestore } from '@/lib/http/console/right';
import { countOf, manyOf } from '@/lib/http/console/words';
import type { RestoreResult } from '@/lib/rights/restore/restore';
import { Choice, Facts, ForWhoMay, orRefused, Reason, Refused } from '../../parts/deciding';
import { Confirm, Field } from '../../parts/forms';
import { Page, Section } from '../../parts/frame';
import { Table } from '../../parts/table';
import { shown } from '../../shown';
import { type Searched, type Visit, visit } from '../../visit';

export const metadata: Metadata = { title: 'Restore' };

const KEEP_DAYS = 30;

export default shown(async function NewRestore({ searchParams }: { searchParams: Searched }) {
  const v = await visit('/restores/new', searchParams, 'operate');
  const { scope, subject, policy, keepDays } = v.asked;
  const days = Number(keepDays ?? KEEP_DAYS);
  const isAsked = (scope === 'run' || scope === 'organization' || scope === 'item') && Boolean(subject);
  const ask: RestoreAsk | null = isAsked
    ? {
        scope,
        subject: subject!,
        policy: policy || undefined,
        keepDays: Number.isInteger(days) && days > 0 ? days : KEEP_DAYS,
      }
    : null;
  return (
    <Page title="Restore" said={v.said} asOf={v.now}>
      {ask ? <Look visit={v} ask={ask} /> : <Ask visit={v} />}
    </Page>
  );
});

const Ask = ({ visit: { asked } }: { visit: Visit }) => (
  <Section id="what" title="What comes back">
    <form id="look-at-restore" className="grid max-w-xl gap-4" action="/restores/new">
      <Choice
        name="scope"
        label="What"
        said={null}
        value={asked.scope ?? 'organization'}
        options={{ run: 'All that a run deleted', organization: 'All of an organization', item: 'One row' }}
      />
      <Field
        name="subject"
        label="Id of the run or the organization, or key of the row"
        said={null}
        value={asked.subject}
      />
      <Field
        name="policy"
        label="Policy that deleted it"
        said={null}
        value={asked.policy}
        required={false}
        hint="Needed for one row."
      />
      <Field
        name="keepDays"
        type="number"
        label="Days that no policy takes it again"
        said={null}
        value={asked.keepDays ?? String(KEEP_DAYS)}
      />
      <button type="submit" className="button justify-self-start" data-primary="">
        Look
      </button>
    </form>
  </Section>
);

async function Look({ visit: v, ask }: { visit: Visit; ask: RestoreAsk }) {
  const looked = await orRefused(() =>
    seeRestore(v.services, ask, { actor: v.who.name, token: v.who.token }),
  );
  if ('refused' in looked) {
    return (
      <>
        <Refused>{looked.refused}</Refused>
        <Ask visit={v} />
      </>
    );
  }
  const { result, digest } = looked.found;
  const rows = result === null ? 1 : (result.counts.restored ?? 0);
  return (
    <>
      {result && <Seen result={result} />}
      <Section id="restore" title={`Restore ${manyOf(rows, 'row')}?`}>
        <ForWhoMay visit={v} needs="operate" not={rows === 0 ? 'Nothing of it can be restored.' : null}>
          <Confirm
            id="request-restore"
            action="/acts/request-restore"
            values={{
              scope: ask.scope,
              subject: ask.subject,
              policy: ask.policy ?? '',
              keepDays: String(ask.keepDays),
              digest,
            }}
            consequences={[
              'Nothing that is there is written over: what is in the way is reported and left as it is.',
              `No policy takes the restored rows again for ${manyOf(ask.keepDays, 'day')}.`,
              'An organization, or more than 500 rows, waits for a second person.',
            ]}
            yes={`Restore ${manyOf(rows, 'row')}`}
            no={{ text: 'Restore nothing', href: '/restores' }}
            danger={false}
            said={v.said}
          >
            {(said) => <Reason said={said} />}
          </Confirm>
        </ForWhoMay>
      </Section>
    </>
  );
}

function Seen({ result }: { result: RestoreResult }) {
  const { counts, archives, expired, problems, problemsLeftOut, schema } = result;
  return (
    <>
      <Section id="seen" title="What the archives hold">
        <Facts
          of={{
            Archives: countOf(archives),
            'Archives whose period is over': expired > 0 ? countOf(expired) : null,
            ...Object.fromEntries(
              Object.entries(counts).map(([what, n]) => [what.replaceAll('_', ' '), countOf(n)]),
            ),
            'Columns that changed since': schema.length > 0 ? schema.map((s) => s.table).join(', ') : null,
          }}
        />
      </Section>
      <Section id="conflicts" title="In the way">
        <Table
          caption="What cannot be restored, and why"
          rows={problems}
          rowKey={(p) => `${p.table} ${p.key} ${p.why}`}
          empty="Nothing is in the way."
          columns={[
            { name: 'Table', cell: (p) => p.table },
            { name: 'Key', cell: (p) => <code className="wrap-anywhere">{p.key}</code> },
            { name: 'Why', cell: (p) => p.why },
          ]}
        />
        {problemsLeftOut > 0 && <p>And {countOf(problemsLeftOut)} more.</p>}
      </Section>
    </>
  );
}
