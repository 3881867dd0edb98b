/** One restore: how far it is, and what a second person, or whoever resumes it, decides. */
import type { Metadata } from 'next';
import { z } from 'zod';
import { type RestoreRow, restoreRow } from '@/lib/http/console/lists';
import { numberOf } from '@/lib/http/console/right';
import { countOf, manyOf } from '@/lib/http/console/words';
import { Facts, ForWhoMay, Reason } from '../../parts/deciding';
import { Act, Confirm } from '../../parts/forms';
import { Page, Section } from '../../parts/frame';
import { Time } from '../../parts/time';
import { nothingHere, shown } from '../../shown';
import { type Visit, visit } from '../../visit';

export const metadata: Metadata = { title: 'Restore' };

export default shown(async function Restore({ params, searchParams }: PageProps<'/restores/[id]'>) {
  const { id } = await params;
  const v = await visit(`/restores/${id}`, searchParams, 'audit');
  const restore = z.uuid().safeParse(id).success ? await restoreRow(v.services, id) : null;
  if (restore === null) nothingHere();
  const isOpen = ['requested', 'confirmed', 'open'].includes(restore.state);
  return (
    <Page title={`Restore ${numberOf(restore.id)}`} said={v.said} asOf={v.now}>
      <Section id="restore" title={`${restore.state[0]!.toUpperCase()}${restore.state.slice(1)}`}>
        <Facts
          of={{
            Of: `${restore.scope} ${restore.subject}`,
            Policy: restore.policy,
            Reason: restore.reason,
            'Rows found': countOf(restore.rows_found),
            'Asked for': (
              <>
                {restore.requested_by}, <Time at={restore.requested_at} />
              </>
            ),
            'Confirmed by': restore.confirmed_by,
            Finished: restore.finished_at && <Time at={restore.finished_at} />,
            'Kept from policies until': <Time at={restore.keep_until} />,
            ...Object.fromEntries(
              Object.entries(restore.counts).map(([what, n]) => [what.replaceAll('_', ' '), countOf(n)]),
            ),
          }}
        />
      </Section>
      {restore.state === 'requested' && <ConfirmIt visit={v} restore={restore} />}
      {['confirmed', 'open'].includes(restore.state) && (
        <Section id="resume" title="Not finished">
          <ForWhoMay visit={v} needs="operate">
            <Act id="resume-restore" action="/acts/resume-restore" values={{ id: restore.id }}>
              Resume the restore
            </Act>
          </ForWhoMay>
        </Section>
      )}
      {isOpen && <Withdraw visit={v} restore={restore} />}
    </Page>
  );
});

function ConfirmIt({ visit: v, restore: r }: { visit: Visit; restore: RestoreRow }) {
  const own = r.requested_by === v.who.name ? 'You asked for it: another person confirms it.' : null;
  return (
    <Section id="confirm" title={`Restore ${manyOf(r.rows_found, 'row')}?`}>
      <ForWhoMay visit={v} needs="approve" not={own}>
        <Confirm
          id="confirm-restore"
          action="/acts/confirm-restore"
          values={{ id: r.id }}
          consequences={['Nothing that is there is written over; what was erased stays erased.']}
          yes={`Restore ${manyOf(r.rows_found, 'row')}`}
          no={{ text: 'Restore nothing', href: '/restores' }}
          danger={false}
          said={v.said}
        >
          {(said) => <Reason said={said} />}
        </Confirm>
      </ForWhoMay>
    </Section>
  );
}

const Withdraw = ({ visit: v, restore: r }: { visit: Visit; restore: RestoreRow }) => (
  <Section id="withdraw" title="Withdraw">
    <ForWhoMay visit={v} needs="operate">
      <Confirm
        id="withdraw-restore"
        action="/acts/withdraw-restore"
        values={{ id: r.id }}
        consequences={['Nothing more of it is restored; what came back stays.']}
        yes="Withdraw"
        no={{ text: 'Let it go on', href: '/restores' }}
        danger={false}
        said={v.said}
      >
        {(said) => <Reason said={said} />}
      </Confirm>
    </ForWhoMay>
  </Section>
);
