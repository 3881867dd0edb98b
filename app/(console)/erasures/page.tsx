/** Requests to erase, with the clock of the law: those under way, the one that is due first before the others. */

import type { Metadata } from 'next';
import { type ErasureRow, erasures } from '@/lib/http/console/lists';
import { reading } from '@/lib/http/console/reading';
import { countOf, shareOf, spanOf } from '@/lib/http/console/words';
import { breakable } from '../parts/breakable';
import { mayAct, nextOf } from '../parts/deciding';
import { Page, Section } from '../parts/frame';
import { Part } from '../parts/notes';
import { Clock, State } from '../parts/state';
import { NextPage, Table } from '../parts/table';
import { Time } from '../parts/time';
import { shown } from '../shown';
import { type Searched, visit } from '../visit';

export const metadata: Metadata = { title: 'Erasures' };

const STATES: Record<string, string> = {
  requested: 'Waits for a second person',
  confirmed: 'Confirmed',
  open: 'Being erased',
  done: 'Done',
  withdrawn: 'Withdrawn',
};

export default shown(async function Erasures({ searchParams }: { searchParams: Searched }) {
  const v = await visit('/erasures', searchParams, 'audit');
  const settled = v.asked.settled === '1';
  const found = await reading(v.services, 'The erasures', () =>
    erasures(v.services, { settled, after: v.asked.after }),
  );
  const ask = mayAct(v, 'operate') && (
    <a href="/erasures/new" className="button" data-primary="">
      Ask for an erasure
    </a>
  );
  return (
    <Page title="Erasures" said={v.said} asOf={v.now} acts={ask}>
      <Section
        id="erasures"
        title={settled ? 'Settled' : 'Under way'}
        acts={
          <>
            <a href={settled ? '/erasures' : '/erasures?settled=1'}>{settled ? 'Under way' : 'Settled'}</a>
            <a href="/exports">Exports</a>
          </>
        }
      >
        <Part of={found}>
          {({ entries, next }) => (
            <>
              <Table
                caption={settled ? 'Requests that are settled' : 'Requests under way'}
                rows={entries}
                rowKey={({ id }) => id}
                empty={
                  settled
                    ? 'No request was settled.'
                    : 'No request is under way. One has a month; it is listed here with the days that are left.'
                }
                columns={[
                  { name: 'Request', cell: (e) => <a href={`/erasures/${e.id}`}>{breakable(e.reason)}</a> },
                  { name: 'Of', cell: (e) => (e.scope === 'user' ? 'a person' : 'an organization') },
                  { name: 'State', cell: (e) => <Stage of={e} /> },
                  { name: 'Tables', number: true, cell: (e) => `${e.tables_done} of ${e.tables}` },
                  {
                    name: 'Rows found',
                    number: true,
                    cell: (e) => (e.rows_found === null ? 'many' : countOf(e.rows_found)),
                  },
                  settled
                    ? { name: 'Settled', cell: (e) => e.finished_at && <Time at={e.finished_at} /> }
                    : { name: 'Time left', cell: (e) => <Month of={e} now={v.now} /> },
                ]}
              />
              <NextPage href={nextOf('/erasures', next, { settled: settled ? '1' : undefined })}>
                {settled ? 'Older' : 'Later'}
              </NextPage>
            </>
          )}
        </Part>
      </Section>
    </Page>
  );
});

const TONES = { requested: 'wait', done: 'good', withdrawn: 'rest' } as const;

const Stage = ({ of: { state } }: { of: ErasureRow }) => (
  <State
    mark={state === 'requested' ? '▲' : state === 'done' ? '✓' : state === 'withdrawn' ? '○' : '▶'}
    word={STATES[state] ?? state}
    tone={TONES[state as keyof typeof TONES] ?? 'run'}
  />
);

function Month({ of: e, now }: { of: ErasureRow; now: Date }) {
  const [from, due] = [Date.parse(e.requested_at), Date.parse(e.due_at)];
  const passed = Math.min(1, Math.max(0, (now.getTime() - from) / Math.max(1, due - from)));
  const left = (due - now.getTime()) / 1000;
  return (
    <Clock
      left={left > 0 ? `${spanOf(left)} left of 30 d` : `late by ${spanOf(-left)}`}
      passed={passed}
      late={left <= 0}
      label={`${shareOf(passed)} of the month has passed`}
    />
  );
}
