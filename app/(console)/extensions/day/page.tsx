/** Keeps what the calendar shows of one organization on one day. The rows are looked at first; the form names exactly those. */
import type { Metadata } from 'next';
import { manyOf, minuteOf } from '@/lib/http/console/words';
import { comingDay } from '@/lib/watch/calendar/extend-day';
import { ForWhoMay, orRefused, Reason, Refused } from '../../parts/deciding';
import { Confirm, Field } from '../../parts/forms';
import { Page, Section } from '../../parts/frame';
import { shown } from '../../shown';
import { type Searched, type Visit, visit } from '../../visit';

export const metadata: Metadata = { title: 'Extend a day' };

export default shown(async function ExtendDay({ searchParams }: { searchParams: Searched }) {
  const v = await visit('/extensions/day', searchParams, 'operate');
  const { policy, organization, day } = v.asked;
  const isAsked = policy && organization && day;
  return (
    <Page title={isAsked ? `Extend ${day} of ${policy}` : 'Extend a day'} said={v.said} asOf={v.now}>
      {isAsked ? <Look visit={v} about={{ policy, organization, day }} /> : <Ask visit={v} />}
    </Page>
  );
});

function Ask({ visit: v }: { visit: Visit }) {
  return (
    <Section id="which" title="Which day">
      <form id="look-at-day" className="grid max-w-xl gap-4" action="/extensions/day">
        <Field name="policy" label="Policy" said={null} value={v.asked.policy} options={byOrganization(v)} />
        <Field name="organization" label="Organization" said={null} value={v.asked.organization} />
        <Field name="day" type="date" label="Day (UTC)" said={null} value={v.asked.day} />
        <button type="submit" className="button justify-self-start" data-primary="">
          Look
        </button>
      </form>
    </Section>
  );
}

/** Only these can be asked about one organization. */
const byOrganization = ({ services: { policies } }: Visit): string[] =>
  policies.filter((p) => p.tenants || p.scope.organization !== undefined).map((p) => p.name);

async function Look({
  visit: v,
  about,
}: {
  visit: Visit;
  about: { policy: string; organization: string; day: string };
}) {
  const looked = await orRefused(() => comingDay(v.services, about));
  if ('refused' in looked) {
    return (
      <>
        <Refused>{looked.refused}</Refused>
        <Ask visit={v} />
      </>
    );
  }
  const { keys, more, at, digest } = looked.found;
  return (
    <Section
      id="extend"
      title={`${more ? 'More than ' : ''}${manyOf(keys.length, 'row')} of ${about.organization}`}
    >
      <p>They go at {minuteOf(at)}, unless they are extended.</p>
      <ForWhoMay visit={v} needs="operate" not={refusalOf(keys.length, more)}>
        <Confirm
          id="extend-day"
          action="/acts/extend-day"
          values={{ ...about, digest }}
          consequences={[
            `Exactly these ${manyOf(keys.length, 'row')} stay until the day you name; what comes later is not among them.`,
          ]}
          yes={`Extend ${manyOf(keys.length, 'row')}`}
          no={{ text: 'Let them go', href: '/extensions' }}
          danger={false}
          said={v.said}
        >
          {(said) => (
            <>
              <Field name="keepUntil" type="date" label="Keep until (UTC)" said={said} />
              <Reason said={said} />
            </>
          )}
        </Confirm>
      </ForWhoMay>
    </Section>
  );
}

function refusalOf(rows: number, more: boolean): string | null {
  if (more)
    return 'They are more than can be kept at once: give the organization a longer period instead (override.set).';
  return rows === 0 ? 'Nothing of this organization is due that day.' : null;
}
