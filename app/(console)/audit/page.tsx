/** The audit chain: who did what, the newest first; whether it is unbroken; and the answer box. */
import type { Metadata } from 'next';
import { auditPath, type ChainLook, filtersOf, lookAtChain } from '@/lib/http/console/audit';
import { reading } from '@/lib/http/console/reading';
import { countOf } from '@/lib/http/console/words';
import { type AuditEntry, type EntriesAsk, readEntries } from '@/lib/operators/audit/entries';
import { isErasureStep, policyInWords } from '@/lib/policies/step-names';
import { Ask } from '../parts/ask';
import { Page, Section } from '../parts/frame';
import { Later, Part } from '../parts/notes';
import { State } from '../parts/state';
import { NextPage, Table } from '../parts/table';
import { Time } from '../parts/time';
import { shown } from '../shown';
import { type Visit, visit } from '../visit';

export const metadata: Metadata = { title: 'Audit' };

export default shown(async function Audit({ searchParams }: PageProps<'/audit'>) {
  const v = await visit('/audit', searchParams, 'audit');
  const { verify, ...asked } = v.asked;
  const { filters, wrong } = filtersOf(asked);
  return (
    <Page title="Audit" said={v.said} asOf={v.now}>
      <Section id="box" title="One record">
        <Ask />
      </Section>
      <Section
        id="chain"
        title="The chain"
        acts={
          <form id="verify" method="get" action="/audit">
            <button type="submit" name="verify" value="1" className="button">
              Verify the chain
            </button>
          </form>
        }
      >
        {verify === undefined ? (
          <p className="text-quiet">
            Every entry carries the hash of the one before. Every night all of it is verified, with the
            receipts.
          </p>
        ) : (
          <Later of={reading(v.services, 'The chain', () => lookAtChain(v.services))}>
            {(found) => <Look of={found} />}
          </Later>
        )}
      </Section>
      <Section
        id="entries"
        title="Entries"
        acts={
          <a
            className="button"
            href={auditPath({ ...filters, before: undefined }, '/audit/entries')}
            download=""
          >
            CSV
          </a>
        }
      >
        <Filter asked={asked} wrong={wrong} />
        <Entries visit={v} filters={filters} />
      </Section>
    </Page>
  );
});

function Look({ of: { entries, head, complete, problems } }: { of: ChainLook }) {
  const count = `${countOf(entries)} entries`;
  if (problems.length > 0) {
    return (
      <div id="verified" role="status" className="grid gap-2">
        <State mark="✕" word="Broken" tone="bad">
          {count} looked at. Do not resume deletion before you know why.
        </State>
        <ul className="list-disc pl-5">
          {problems.map((p) => (
            <li key={p}>{p}</li>
          ))}
        </ul>
      </div>
    );
  }
  return (
    <p id="verified" role="status">
      {complete ? (
        <State mark="✓" word="Unbroken" tone="good">
          {count}, head <code title={head ?? undefined}>{head ? `${head.slice(0, 8)}…` : 'none'}</code>,
          unbroken.
        </State>
      ) : (
        <State mark="◐" word="Unbroken so far" tone="wait">
          The first {count} are unbroken; the time was over. The nightly job verifies all of them.
        </State>
      )}
    </p>
  );
}

const FIELDS = [
  { name: 'actor', label: 'Actor' },
  { name: 'action', label: 'Act' },
  { name: 'policy', label: 'Policy' },
] as const;

function Filter({ asked, wrong }: { asked: Readonly<Record<string, string>>; wrong: string | null }) {
  return (
    <form id="filter" method="get" action="/audit" className="flex flex-wrap items-end gap-3">
      {FIELDS.map(({ name, label }) => (
        <label key={name} className="grid min-w-0 basis-40 gap-1">
          {label}
          <input
            name={name}
            defaultValue={asked[name]}
            maxLength={200}
            autoComplete="off"
            className="field"
          />
        </label>
      ))}
      <label className="grid basis-40 gap-1">
        Day (UTC)
        <input type="date" name="day" defaultValue={asked.day} className="field" />
      </label>
      <button type="submit" className="button">
        Filter
      </button>
      {wrong !== null && (
        <p role="alert" className="w-full text-bad">
          ✕ {wrong} is not written as a filter can be; nothing was filtered.
        </p>
      )}
    </form>
  );
}

async function Entries({ visit: v, filters }: { visit: Visit; filters: EntriesAsk }) {
  const page = await reading(v.services, 'The entries', () => readEntries(v.services, filters));
  return (
    <Part of={page}>
      {({ entries, next }) => (
        <>
          <Table
            caption="Entries of the audit chain, the newest first"
            rows={entries}
            rowKey={(e) => String(e.n)}
            empty={
              next === null
                ? 'No entry. Each act of an operator and each run that deleted something writes one.'
                : `None in the stretch down to entry ${countOf(next)}.`
            }
            columns={[
              { name: 'Entry', cell: (e) => countOf(e.n) },
              { name: 'At', cell: (e) => <Time at={e.at} /> },
              { name: 'Actor', cell: (e) => e.actor },
              { name: 'Act', cell: (e) => e.action },
              { name: 'About', cell: (e) => <About of={e} /> },
              { name: 'Why', cell: (e) => e.reason },
            ]}
          />
          <NextPage href={next === null ? null : auditPath({ ...filters, before: next })}>
            {entries.length === 0 ? 'Look further back' : 'Older'}
          </NextPage>
        </>
      )}
    </Part>
  );
}

/** Acts whose subject has a page of its own. */
const ABOUT: readonly [RegExp, string][] = [
  [/^run\.sealed$/, '/runs'],
  [/^hold\./, '/holds'],
  [/^erasure\./, '/erasures'],
  [/^restore\./, '/restores'],
  [/^policy\.(paused|resumed)$/, '/policies'],
];
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

function About({ of: { action, subject, detail } }: { of: AuditEntry }) {
  const policy = typeof detail.policy === 'string' ? detail.policy : null;
  const to = ABOUT.find(([acts]) => acts.test(action))?.[1];
  const isThere = to !== undefined && (to === '/policies' ? !isErasureStep(subject) : UUID.test(subject));
  const about = isThere ? <a href={`${to}/${subject}`}>{subject}</a> : policyInWords(subject);
  return (
    <>
      {about}
      {policy !== null && policy !== subject && ` (${policyInWords(policy)})`}
    </>
  );
}
