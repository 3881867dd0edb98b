/** One request to erase: its clock, what became of it in each table, who decided what, and its certificate. */
import type { Metadata } from 'next';
import { type ErasureRequest, erasureOf, numberOf } from '@/lib/http/console/right';
import { keptInWords } from '@/lib/http/console/sentences';
import { countOf, spanOf } from '@/lib/http/console/words';
import { policyInWords } from '@/lib/policies/step-names';
import { Facts, ForWhoMay, orNotFound, Reason } from '../../parts/deciding';
import { Confirm, TypedName } from '../../parts/forms';
import { Page, Section } from '../../parts/frame';
import { Table } from '../../parts/table';
import { Time } from '../../parts/time';
import { shown } from '../../shown';
import { type Visit, visit } from '../../visit';

export const metadata: Metadata = { title: 'Erasure' };

export default shown(async function Erasure({ params, searchParams }: PageProps<'/erasures/[id]'>) {
  const { id } = await params;
  const v = await visit(`/erasures/${id}`, searchParams, 'audit');
  const request = await orNotFound(erasureOf(v.services, id));
  const isOpen = ['requested', 'confirmed', 'open'].includes(request.state);
  return (
    <Page title={`Erasure ${numberOf(request.id)}`} said={v.said} asOf={v.now}>
      <About request={request} now={v.now} />
      <Steps request={request} />
      {request.state === 'requested' && <ConfirmIt visit={v} request={request} />}
      {isOpen && <Withdraw visit={v} request={request} />}
      <History request={request} />
    </Page>
  );
});

type Step = ErasureRequest['policies'][number];

/** Open, with all done but what a hold keeps. */
const isHeld = ({ state, policies }: ErasureRequest): boolean =>
  state === 'open' && policies.some((p) => (p.kept.held ?? 0) > 0);

function About({ request: r, now }: { request: ErasureRequest; now: Date }) {
  const left = (Date.parse(r.due_at) - now.getTime()) / 1000;
  return (
    <Section
      id="request"
      title={`${r.state[0]!.toUpperCase()}${r.state.slice(1)}`}
      acts={
        r.state === 'done' && (
          <a
            className="button"
            href={`/erasures/${r.id}/certificate`}
            download={`erasure-${numberOf(r.id)}.json`}
          >
            Certificate
          </a>
        )
      }
    >
      <Facts
        of={{
          Of: `${r.scope === 'user' ? 'person' : 'organization'} ${r.subject}`,
          Reason: r.reason,
          'Asked for': (
            <>
              {r.requested_by}, <Time at={r.requested_at} />
            </>
          ),
          'Confirmed by': r.confirmed_by,
          'Withdrawn by': r.withdrawn_by,
          Finished: r.finished_at && <Time at={r.finished_at} />,
          'Time left':
            r.days_left === null
              ? null
              : left > 0
                ? `${spanOf(left)} left of 30 d`
                : `late by ${spanOf(-left)}`,
          'Waits for': isHeld(r) ? (
            <>
              the release of a <a href="/holds">hold</a>, which keeps rows of this subject; what is held goes
              when it ends
            </>
          ) : null,
          'Rows found': r.rows_found === null ? 'more than could be counted' : countOf(r.rows_found),
          'Not read by the check': r.not_read.length > 0 ? r.not_read.join(', ') : null,
        }}
      />
    </Section>
  );
}

const ACTS: Readonly<Record<string, string>> = {
  delete: 'delete',
  mask: 'mask',
  detach: 'clear a reference',
};
const OUTCOMES: Readonly<Record<string, string>> = {
  succeeded: '✓ done',
  interrupted: '◐ continues with the next run',
  skipped: '○ waits',
  errored: '✕ failed, tried again',
  out_of_reach: '✓ nothing of this subject',
};
const outcomeOf = ({ outcome, reason }: Step): string =>
  `${OUTCOMES[outcome] ?? outcome}${reason ? ` (${reason})` : ''}`;

const Steps = ({ request: { policies } }: { request: ErasureRequest }) => (
  <Section id="receipt" title="Receipt per table">
    <Table
      caption="What became of the request in each table"
      rows={policies}
      rowKey={(p) => p.policy}
      empty="Nothing was erased yet."
      columns={[
        { name: 'Table', cell: (p) => p.table ?? policyInWords(p.policy) },
        { name: 'Act', cell: (p) => ACTS[p.action] ?? p.action },
        { name: 'Outcome', cell: outcomeOf },
        { name: 'Rows', number: true, cell: (p) => countOf(p.deleted) },
        { name: 'With them', number: true, cell: (p) => countOf(p.dependantsDeleted) },
        { name: 'Files', number: true, cell: (p) => countOf(p.files) },
        { name: 'Kept', cell: (p) => keptInWords(p.kept) },
      ]}
    />
  </Section>
);

function ConfirmIt({ visit: v, request: r }: { visit: Visit; request: ErasureRequest }) {
  const own = r.requested_by === v.who.name ? 'You asked for it: another person confirms it.' : null;
  const rows = r.rows_found === null ? 'more rows than could be counted' : `${countOf(r.rows_found)} rows`;
  return (
    <Section id="confirm" title={`Erase ${rows}?`}>
      <ForWhoMay visit={v} needs="approve" not={own}>
        <Confirm
          id="confirm-erasure"
          action="/acts/confirm-erasure"
          values={{ id: r.id }}
          consequences={[
            `Everything of this ${r.scope === 'user' ? 'person' : 'organization'} goes now, whatever its age and plan; what is held waits for its release.`,
            'It cannot be undone: copies in archives and exports go too.',
          ]}
          yes={`Erase ${rows}`}
          no={{ text: 'Erase nothing', href: '/erasures' }}
          said={v.said}
        >
          {(said) => (
            <>
              <TypedName name="confirm" value={numberOf(r.id)} said={said} />
              <Reason said={said} />
            </>
          )}
        </Confirm>
      </ForWhoMay>
    </Section>
  );
}

const Withdraw = ({ visit: v, request: r }: { visit: Visit; request: ErasureRequest }) => (
  <Section id="withdraw" title="Withdraw the request">
    <ForWhoMay visit={v} needs="operate">
      <Confirm
        id="withdraw-erasure"
        action="/acts/withdraw-erasure"
        values={{ id: r.id }}
        consequences={['Nothing more of it is erased; what was erased before stays erased.']}
        yes="Withdraw"
        no={{ text: 'Let it go on', href: '/erasures' }}
        danger={false}
        said={v.said}
      >
        {(said) => <Reason said={said} />}
      </Confirm>
    </ForWhoMay>
  </Section>
);

const History = ({ request: { history } }: { request: ErasureRequest }) => (
  <Section id="history" title="Who decided what">
    <Table
      caption="Entries of the audit chain about this request"
      rows={history}
      rowKey={({ entry }) => String(entry)}
      empty="The audit chain has no entry of it."
      columns={[
        { name: 'Entry', cell: (h) => h.entry },
        { name: 'When', cell: (h) => <Time at={h.at} /> },
        { name: 'Who', cell: (h) => h.by },
        { name: 'What', cell: (h) => h.action },
        { name: 'Reason', cell: (h) => h.reason },
      ]}
    />
  </Section>
);
