/** The start: five numbers that can each be bad, the answer box, and every policy, the worst first. No row values, no personal data. */

import type { Metadata } from 'next';
import { firstSteps } from '@/lib/http/console/first-steps';
import { numbersOf } from '@/lib/http/console/numbers';
import { isPreview } from '@/lib/http/console/place';
import { type PoliciesNow, type PolicyNow, policiesNow } from '@/lib/http/console/policies';
import { reading } from '@/lib/http/console/reading';
import { byWeight } from '@/lib/http/console/sentences';
import { countOf, manyOf, spanOf } from '@/lib/http/console/words';
import { Ask } from './parts/ask';
import { Bars } from './parts/bars';
import { WhatThisBranchChanges } from './parts/branch-plan';
import { breakable } from './parts/breakable';
import { FirstSteps } from './parts/first-steps';
import { Act } from './parts/forms';
import { Page, Section } from './parts/frame';
import { Later } from './parts/notes';
import { DeletedInADay, KeptOnPurpose, PastItsDate, Proof, Waits } from './parts/numbers';
import { Progress, State } from './parts/state';
import { Stopped } from './parts/stopped';
import { Table } from './parts/table';
import { Ago } from './parts/time';
import { shown } from './shown';
import { type Visit, visit } from './visit';
import { whatWaits } from './waiting';

export const metadata: Metadata = { title: 'Policies' };

export default shown(async function Policies({ searchParams }: PageProps<'/'>) {
  const v = await visit('/', searchParams);
  const { services: s } = v;
  const now = reading(s, 'The policies', () => policiesNow(s, s.policies));
  const numbers = reading(s, 'The numbers', () => numbersOf(s));
  const waits = whatWaits();
  const steps = reading(s, 'How far this installation is', () => firstSteps(s));
  return (
    <Page title="Policies" said={v.said} asOf={v.now}>
      <Later of={now}>{({ stopped }) => stopped && <Stopped of={stopped} visit={v} />}</Later>
      {isPreview(s.settings) && <WhatThisBranchChanges visit={v} />}
      <FirstSteps of={steps} />
      <div className="grid grid-cols-1 gap-3 min-[24rem]:grid-cols-2 min-[24rem]:*:first:col-span-2 lg:grid-cols-5 lg:*:first:col-span-1">
        <Later of={waits}>{({ waiting }) => <Waits waiting={waiting} now={v.now} />}</Later>
        <Later of={now}>{({ policies }) => <PastItsDate policies={policies} />}</Later>
        <Later of={numbers}>
          {({ gone, kept, proof }) => (
            <>
              <DeletedInADay of={gone} />
              <KeptOnPurpose of={kept} />
              <Proof of={proof} now={v.now} />
            </>
          )}
        </Later>
      </div>
      {v.who.may('audit') && <Ask />}
      <Section id="policies" title="All policies">
        <Later of={now}>{(all) => <PolicyList visit={v} all={all} />}</Later>
      </Section>
    </Page>
  );
});

const PolicyList = ({ visit: v, all: { policies, live } }: { visit: Visit; all: PoliciesNow }) => (
  <>
    {!live && (
      <p role="alert">
        ▲ Redis does not answer: what runs now is not known, and no run will start. Stop and pause work all
        the same.
      </p>
    )}
    <PolicyTable visit={v} policies={sorted(policies, v.asked.by)} />
  </>
);

const sorted = (policies: readonly PolicyNow[], by: string | undefined): readonly PolicyNow[] =>
  [...policies].sort((a, b) =>
    by === 'lateness'
      ? (b.backlog?.seconds ?? -1) - (a.backlog?.seconds ?? -1)
      : byWeight(a.state, b.state) || a.policy.name.localeCompare(b.policy.name),
  );

function PolicyTable({ visit: v, policies }: { visit: Visit; policies: readonly PolicyNow[] }) {
  return (
    <Table
      caption="Policies, the worst first"
      rows={policies}
      rowKey={({ policy }) => policy.name}
      empty={
        <>
          No policy is declared yet. <code>npm run adopt</code> writes the first from your own database.
        </>
      }
      columns={[
        {
          name: 'Policy',
          cell: ({ policy: { name } }) => (
            <a href={`/policies/${name}`} className="text-link underline md:whitespace-nowrap">
              {name}
            </a>
          ),
        },
        { name: 'State', cell: (p) => <PolicyState of={p} /> },
        {
          name: 'Past its date',
          number: true,
          cell: ({ backlog }) =>
            backlog && (
              <>
                {countOf(backlog.waiting)}
                {backlog.verdict !== 'clear' && backlog.seconds > 0 && (
                  <span className="block text-sm text-quiet">{spanOf(backlog.seconds)} late</span>
                )}
              </>
            ),
        },
        { name: 'Last runs', cell: (p) => <Nights of={p} /> },
        { name: 'Next', cell: ({ facts: { next } }) => (next ? <Ago at={next} now={v.now} /> : 'never') },
        { name: 'Act', cell: (p) => <Switch visit={v} of={p} /> },
      ]}
    />
  );
}

const PolicyState = ({ of: { state, share, runId, policy } }: { of: PolicyNow }) => (
  <>
    <State {...state}>{breakable(state.sentence)}</State>
    {share !== null && <Progress share={share} label={`${policy.name}: how far its run is`} />}
    {state.tone === 'run' && runId && <a href={`/runs/${runId}`}>Watch the run</a>}
  </>
);

function Nights({ of: { nights, policy } }: { of: PolicyNow }) {
  const sum = nights.reduce((a, b) => a + b, 0);
  if (sum === 0) return null;
  return (
    <Bars
      values={nights}
      label={`${policy.name}: ${countOf(sum)} deleted in the last ${manyOf(nights.length, 'run')}, ${countOf(nights.at(-1)!)} in the newest`}
    />
  );
}

function Switch({ visit: v, of: { policy, facts, state } }: { visit: Visit; of: PolicyNow }) {
  if (isPreview(v.services.settings)) return null;
  const values = { policy: policy.name, back: '/' };
  return (
    <span className="flex flex-wrap gap-2">
      {state.word === 'Guarded' && v.who.may('audit') && (
        <a href={`/policies/${policy.name}/approve`} className="button">
          Review
        </a>
      )}
      {facts.paused
        ? v.who.may('operate') && (
            <Act
              id={`resume-${policy.name}`}
              action="/acts/resume"
              values={values}
              label={`Resume ${policy.name}`}
            >
              Resume
            </Act>
          )
        : v.who.may('stop') && (
            <Act
              id={`pause-${policy.name}`}
              action="/acts/pause"
              values={values}
              label={`Pause ${policy.name}`}
            >
              Pause
            </Act>
          )}
    </span>
  );
}
