/** What will be deleted on which day, if nothing changes until then: with what is extended and what was announced. */
import type { Metadata } from 'next';
import { DAYS, type Month, monthOf } from '@/lib/http/console/calendar';
import { reading } from '@/lib/http/console/reading';
import { RequestError } from '@/lib/platform/errors';
import { Page, Section } from '../parts/frame';
import { Empty, Later } from '../parts/notes';
import { Time } from '../parts/time';
import { shown } from '../shown';
import { type Visit, visit } from '../visit';
import { CalendarFilter } from './filter';
import { MonthGrid } from './month';

export const metadata: Metadata = { title: 'Calendar' };

export default shown(async function Calendar({ searchParams }: PageProps<'/calendar'>) {
  const v = await visit('/calendar', searchParams);
  const { policy = '', org = '' } = v.asked;
  const query = new URLSearchParams({ ...(policy ? { policy } : {}), ...(org ? { org } : {}) }).toString();
  const again = new URLSearchParams(query);
  again.set('again', '1');
  return (
    <Page
      title="Calendar"
      said={v.said}
      asOf={v.now}
      acts={
        <>
          <a className="button" href={`/calendar?${again}`}>
            Look again
          </a>
          <a className="button" href={`/calendar/download?${query}`} download="">
            Download
          </a>
          {v.who.may('audit') && (
            <a className="button" href="/notices">
              Messages
            </a>
          )}
        </>
      }
    >
      <CalendarFilter
        action="/calendar"
        policies={v.services.policies.map((p) => p.name)}
        policy={policy}
        organization={org}
      />
      <Section id="month" title={`The next ${DAYS} days`}>
        <Later of={reading(v.services, 'The calendar', () => asked(v))}>
          {(found) => <OfMonth found={found} query={query} />}
        </Later>
      </Section>
    </Page>
  );
});

type Asked = Month | { readonly refused: string };

async function asked({ services, asked: { policy, org, again } }: Visit): Promise<Asked> {
  try {
    return await monthOf(services, {
      policy: policy || undefined,
      organization: org || undefined,
      again: again === '1',
    });
  } catch (error) {
    if (error instanceof RequestError) return { refused: error.message };
    throw error;
  }
}

const OfMonth = ({ found, query }: { found: Asked; query: string }) =>
  'refused' in found ? (
    <p role="alert" className="text-bad">
      ✕ {found.refused}
    </p>
  ) : (
    <Shown month={found} query={query} />
  );

function Shown({ month, query }: { month: Month; query: string }) {
  return (
    <>
      <p className="text-sm text-quiet">
        Looked up at <Time at={month.at} />. Days are UTC; a row goes with the last run of its day, unless it
        is held or extended until then.
      </p>
      {month.incomplete.length > 0 && (
        <Empty>
          There was no time to look at every organization of {month.incomplete.join(', ')}: more may go. Ask
          for one policy or one organization.
        </Empty>
      )}
      <MonthGrid days={month.days} href={(date) => `/calendar/${date}${query ? `?${query}` : ''}`} />
    </>
  );
}
