/** The start: what every policy does, when it last ran and how it went. Shows no row values and no personal data. */
import type { Metadata } from 'next';
import { isPreview } from '@/lib/http/console/place';
import { type PolicyNow, policiesNow } from '@/lib/http/console/policies';
import { reading } from '@/lib/http/console/reading';
import { inWords } from '@/lib/policies/in-words';
import { Act } from './parts/forms';
import { Page, Section } from './parts/frame';
import { Part } from './parts/notes';
import { State } from './parts/state';
import { Table } from './parts/table';
import { Ago, Time } from './parts/time';
import { type Visit, visit } from './visit';

export const metadata: Metadata = { title: 'Policies' };

export default async function Policies({ searchParams }: PageProps<'/'>) {
  const v = await visit('/', searchParams);
  const now = await reading(v.services, 'The policies', () => policiesNow(v.services));
  return (
    <Page title="Policies" said={v.said} asOf={v.now}>
      <Section id="policies" title="All policies">
        <Part of={now}>{({ policies }) => <PolicyTable visit={v} policies={policies} />}</Part>
      </Section>
    </Page>
  );
}

function PolicyTable({ visit: v, policies }: { visit: Visit; policies: readonly PolicyNow[] }) {
  return (
    <Table
      caption="Policies and their last runs"
      rows={policies}
      rowKey={({ policy }) => policy.name}
      empty="No policy is declared. npm run adopt writes the first."
      columns={[
        { name: 'Policy', cell: ({ policy }) => policy.name },
        { name: 'What goes', cell: ({ policy }) => inWords(policy).join('; ') },
        { name: 'State', cell: (p) => <PolicyState of={p} /> },
        { name: 'Last run', cell: ({ run }) => (run ? <Ago at={run.started_at} now={v.now} /> : 'never') },
        { name: 'Next run', cell: ({ next }) => (next ? <Time at={next} /> : 'never') },
        { name: 'Act', cell: (p) => <Switch visit={v} of={p} /> },
      ]}
    />
  );
}

const PolicyState = ({ of: { paused, run } }: { of: PolicyNow }) =>
  paused ? (
    <State mark="Ⅱ" word="Paused" tone="rest">
      {paused.by}: {paused.why}
    </State>
  ) : (
    <State mark="○" word={run?.outcome ?? 'Not run yet'} tone="rest">
      {run?.reason}
    </State>
  );

function Switch({ visit: v, of: { policy, paused } }: { visit: Visit; of: PolicyNow }) {
  if (isPreview(v.services.settings)) return null;
  const values = { policy: policy.name, back: '/' };
  if (paused) {
    return v.who.may('operate') ? (
      <Act id={`resume-${policy.name}`} action="/acts/resume" values={values} label={`Resume ${policy.name}`}>
        Resume
      </Act>
    ) : null;
  }
  return v.who.may('stop') ? (
    <Act id={`pause-${policy.name}`} action="/acts/pause" values={values} label={`Pause ${policy.name}`}>
      Pause
    </Act>
  ) : null;
}
