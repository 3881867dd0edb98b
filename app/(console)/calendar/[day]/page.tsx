/** One day of the calendar: how much goes by policy and organization, who was told, and the way to keep it longer. */
import type { Metadata } from 'next';
import { dayOf, type PolicyDay } from '@/lib/http/console/calendar';
import { reading } from '@/lib/http/console/reading';
import { countOf, manyOf } from '@/lib/http/console/words';
import { RequestError } from '@/lib/platform/errors';
import { utcInWords } from '@/lib/platform/in-words';
import { Page, Section } from '../../parts/frame';
import { Part } from '../../parts/notes';
import { Table } from '../../parts/table';
import { Time } from '../../parts/time';
import { nothingHere, shown } from '../../shown';
import { type Visit, visit } from '../../visit';
import { CalendarFilter } from '../filter';

export const metadata: Metadata = { title: 'Calendar' };

export default shown(async function Day({ params, searchParams }: PageProps<'/calendar/[day]'>) {
  const { day } = await params;
  const v = await visit(`/calendar/${encodeURIComponent(day)}`, searchParams);
  const { policy = '', org = '' } = v.asked;
  const found = await reading(v.services, 'This day', () => asked(v, day));
  if (found.ok && found.value === null) nothingHere();
  const query = new URLSearchParams({ day, ...(policy ? { policy } : {}), ...(org ? { org } : {}) });
  return (
    <Page
      title={`Due on ${utcInWords(day)}`}
      said={v.said}
      asOf={v.now}
      acts={
        <>
          <a className="button" href="/calendar">
            Calendar
          </a>
          <a className="button" href={`/calendar/download?${query}`} download="">
            Download
          </a>
        </>
      }
    >
      <CalendarFilter
        action={`/calendar/${day}`}
        policies={v.services.policies.map((p) => p.name)}
        policy={policy}
        organization={org}
      />
      <Part of={found}>{(value) => <OfDay days={value ?? []} mayExtend={v.who.may('operate')} />}</Part>
    </Page>
  );
});

/** Null: there is no such day, policy or organization. */
async function asked({ services, asked: { policy, org } }: Visit, day: string): Promise<PolicyDay[] | null> {
  try {
    return await dayOf(services, { day, policy: policy || undefined, organization: org || undefined });
  } catch (error) {
    if (error instanceof RequestError) return null;
    throw error;
  }
}

const amount = ({ rows, more }: Pick<PolicyDay, 'rows' | 'more'>): string =>
  `${more ? 'more than ' : ''}${manyOf(rows, 'row')}`;

const hasSomething = (d: PolicyDay): boolean => d.rows > 0 || d.more || Object.keys(d.kept).length > 0;

function OfDay({ days, mayExtend }: { days: readonly PolicyDay[]; mayExtend: boolean }) {
  const some = days.filter(hasSomething);
  const total = { rows: some.reduce((n, d) => n + d.rows, 0), more: some.some((d) => d.more) };
  return (
    <>
      <p id="total">
        {some.length === 0 ? 'Nothing is due on this day.' : `${amount(total)} in all.`}
        {days.some((d) => !d.complete) && ' There was no time to look at every organization: more may go.'}
      </p>
      {some.map((d) => (
        <Section key={d.policy} id={`day-${d.policy}`} title={`${d.policy}: ${amount(d)}`}>
          <p>
            With the run of <Time at={d.at} />. {keptOf(d)}
          </p>
          {d.byOrganization && <Organizations of={d} mayExtend={mayExtend} />}
        </Section>
      ))}
    </>
  );
}

const keptOf = ({ kept }: PolicyDay): string => {
  const said = Object.entries(kept).map(([why, n]) => `${countOf(n ?? 0)} ${why.replaceAll('_', ' ')}`);
  return said.length === 0 ? '' : `Of those that come due, some stay: ${said.join(', ')}.`;
};

function Organizations({ of: d, mayExtend }: { of: PolicyDay; mayExtend: boolean }) {
  const columns = [
    {
      name: 'Organization',
      cell: (o: PolicyDay['organizations'][number]) => o.organization,
    },
    { name: 'Rows', number: true, cell: (o: PolicyDay['organizations'][number]) => countOf(o.rows) },
    {
      name: 'Told',
      cell: (o: PolicyDay['organizations'][number]) => {
        const at = d.told[o.organization];
        return at === undefined ? 'not told' : <Time at={at} />;
      },
    },
  ];
  const extend = {
    name: 'Act',
    cell: (o: PolicyDay['organizations'][number]) => (
      <a className="button" href={`/extensions/day?${about(d, o.organization)}`}>
        Extend…<span className="sr-only"> the rows of {o.organization}</span>
      </a>
    ),
  };
  return (
    <Table
      caption={`Organizations with most rows of ${d.policy} on this day`}
      rows={d.organizations}
      rowKey={(o) => o.organization}
      empty="No organization is named: all of these rows stay."
      columns={mayExtend ? [...columns, extend] : columns}
    />
  );
}

const about = (d: PolicyDay, organization: string): string =>
  new URLSearchParams({ policy: d.policy, organization, day: d.date }).toString();
