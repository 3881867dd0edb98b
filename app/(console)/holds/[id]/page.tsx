/** One hold: what it keeps, its next review, and its release by another person, with what would be free then. */
import type { Metadata } from 'next';
import { z } from 'zod';
import { caseOf, rowsOf } from '@/lib/http/console/hold-acts';
import { type HoldRow, holdOf } from '@/lib/http/console/lists';
import { reading } from '@/lib/http/console/reading';
import { type Released, whatIsReleased } from '@/lib/http/console/release';
import { countOf, manyOf } from '@/lib/http/console/words';
import { Facts, ForWhoMay, Reason } from '../../parts/deciding';
import { Confirm, Field, TypedName } from '../../parts/forms';
import { Page, Section } from '../../parts/frame';
import { Part } from '../../parts/notes';
import { Table } from '../../parts/table';
import { Time } from '../../parts/time';
import { nothingHere, shown } from '../../shown';
import { type Visit, visit } from '../../visit';

export const metadata: Metadata = { title: 'Hold' };

const REVIEW_DAYS = 90;

export default shown(async function Hold({ params, searchParams }: PageProps<'/holds/[id]'>) {
  const { id } = await params;
  const v = await visit(`/holds/${id}`, searchParams, 'audit');
  const hold = z.uuid().safeParse(id).success ? await holdOf(v.services, id) : null;
  if (hold === null) nothingHere();
  const isOver = hold.released_at !== null;
  return (
    <Page title={`Hold ${caseOf(hold)}`} said={v.said} asOf={v.now}>
      <Section id="hold" title={isOver ? 'Released' : 'In force'}>
        <Facts
          of={{
            Keeps: `${hold.scope === 'item' ? `row of ${hold.table_name}` : hold.scope} ${hold.subject}`,
            'Placed by': hold.placed_by,
            Placed: <Time at={hold.placed_at} />,
            Review: hold.review_at ? <Time at={hold.review_at} /> : 'no day named',
            'Released by': hold.released_by,
            Released: hold.released_at && <Time at={hold.released_at} />,
            Because: hold.release_reason,
          }}
        />
      </Section>
      {!isOver && <Review visit={v} hold={hold} />}
      {!isOver && <Release visit={v} hold={hold} />}
    </Page>
  );
});

function Review({ visit: v, hold }: { visit: Visit; hold: HoldRow }) {
  const next = new Date(v.now.getTime() + REVIEW_DAYS * 86_400_000).toISOString().slice(0, 10);
  return (
    <Section id="review" title="Still needed?">
      <ForWhoMay visit={v} needs="operate">
        <Confirm
          id="review-hold"
          action="/acts/review-hold"
          values={{ id: hold.id }}
          consequences={['The hold stays in force; somebody is asked again on the day you name.']}
          yes="Keep it"
          no={{ text: 'Back to the holds', href: '/holds' }}
          danger={false}
          said={v.said}
        >
          {(said) => (
            <>
              <Field name="reviewAt" type="date" label="Next day of review (UTC)" said={said} value={next} />
              <Reason said={said} />
            </>
          )}
        </Confirm>
      </ForWhoMay>
    </Section>
  );
}

async function Release({ visit: v, hold }: { visit: Visit; hold: HoldRow }) {
  const found = await reading(v.services, 'What the hold keeps', () => whatIsReleased(v.services, hold));
  const own = hold.placed_by === v.who.name ? 'You placed this hold: another person releases it.' : null;
  return (
    <Section id="release" title="Release">
      <Part of={found}>{(released) => <Free released={released} />}</Part>
      <ForWhoMay visit={v} needs="approve" not={own}>
        <Confirm
          id="release-hold"
          action="/acts/release-hold"
          values={{ id: hold.id }}
          consequences={[
            found.ok ? freeInWords(found.value) : 'What becomes deletable could not be counted.',
            'The next run looks again: what something else keeps stays.',
          ]}
          yes={found.ok ? `Release ${rowsOf(found.value.covers)}` : 'Release the hold'}
          no={{ text: 'Keep it held', href: '/holds' }}
          said={v.said}
        >
          {(said) => (
            <>
              <TypedName name="confirm" value={caseOf(hold)} said={said} />
              <Reason said={said} />
            </>
          )}
        </Confirm>
      </ForWhoMay>
    </Section>
  );
}

function freeInWords({ covers, due, complete }: Released): string {
  const tonight = due.reduce((sum, d) => sum + d.rows, 0);
  return `${rowsOf(covers)} become deletable when their time comes; ${complete ? '' : 'at least '}${countOf(tonight)} of them at the next run.`;
}

function Free({ released: { covers, due } }: { released: Released }) {
  return (
    <Table
      caption="What the hold keeps, by table"
      rows={covers}
      rowKey={(c) => `${c.policy} ${c.table} ${c.columns.join()}`}
      empty="No table of a policy names such rows."
      columns={[
        { name: 'Policy', cell: (c) => c.policy },
        { name: 'Table', cell: (c) => c.table },
        { name: 'Rows', number: true, cell: (c) => (typeof c.rows === 'number' ? countOf(c.rows) : c.rows) },
        {
          name: 'At the next run',
          cell: (c) => manyOf(due.find((d) => d.policy === c.policy)?.rows ?? 0, 'row'),
        },
      ]}
    />
  );
}
