/** On a preview deployment, before anyone merges: what this branch makes deletable that production keeps. */
import { type BranchPlan, branchPlan, type Changed } from '@/lib/http/console/plan';
import { reading } from '@/lib/http/console/reading';
import { countOf, manyOf } from '@/lib/http/console/words';
import type { Visit } from '../visit';
import { Section } from './frame';
import { Empty, Later } from './notes';
import { State } from './state';
import { Table } from './table';
import { Ago } from './time';

export function WhatThisBranchChanges({ visit: v }: { visit: Visit }) {
  const { services: s } = v;
  return (
    <Section id="plan" title="What this branch changes">
      <Later of={reading(s, 'The plan', () => branchPlan(s))}>
        {(plan) => (plan === null ? <Unfinished /> : <Plan plan={plan} now={v.now} />)}
      </Later>
    </Section>
  );
}

const Unfinished = () => (
  <Empty>
    The plan could not be finished within 15 seconds. It continues as long as this function lives, and what it
    finds is shown for five minutes: <a href="/#plan">look again</a>, or run <code>npm run plan</code>, which
    takes the time it needs.
  </Empty>
);

function Plan({ plan: { changes, policies, days, at }, now }: { plan: BranchPlan; now: Date }) {
  const all = manyOf(policies, 'policy', 'policies');
  return (
    <>
      <p>
        {changes.length === 0 ? (
          `None of ${all} changes: merging deletes nothing that production would not.`
        ) : (
          <>
            {changes.length} of {all} {changes.length === 1 ? 'changes' : 'change'}.{' '}
            <Headline of={changes} days={days} />
          </>
        )}
      </p>
      {changes.length > 0 && <Changes of={changes} days={days} />}
      <p className="text-sm text-quiet">
        Compared with what production last ran, in the database of this deployment, <Ago at={at} now={now} />.
        Nothing was changed. Files, holds and the guard in full: <code>npm run plan</code>.
      </p>
    </>
  );
}

function Headline({ of, days }: { of: readonly Changed[]; days: number }) {
  const unknown = of.filter(isUncounted).map((c) => c.policy);
  return (
    <>
      <strong>
        {inAll(of.map((c) => c.now))} become deletable because of it now, {inAll(of.map((c) => c.ahead))}{' '}
        within {days} days.
      </strong>
      {unknown.length > 0 && (
        <>
          {' '}
          <State mark="▲" word={`Not counted: ${unknown.join(', ')}.`} tone="wait" />
        </>
      )}
    </>
  );
}

/** Something about what may go has changed, and it is not known how much. */
const isUncounted = ({ now, spared, problems }: Changed): boolean =>
  now === null && spared === null && problems.length > 0;

type Figure = Changed['now'];

const figure = ({ rows, more }: NonNullable<Figure>): string => `${more ? 'more than ' : ''}${countOf(rows)}`;

function inAll(figures: readonly Figure[]): string {
  const known = figures.filter((f) => f !== null);
  const rows = known.reduce((n, f) => n + f.rows, 0);
  return `${known.some((f) => f.more) ? 'more than ' : ''}${manyOf(rows, 'row')}`;
}

const Changes = ({ of, days }: { of: readonly Changed[]; days: number }) => (
  <Table
    caption="Policies that this branch changes"
    rows={of}
    rowKey={({ policy }) => policy}
    empty={null}
    columns={[
      { name: 'Policy', cell: (c) => c.policy },
      { name: 'What differs', cell: (c) => <Differs of={c} /> },
      { name: 'Deletable now', number: true, cell: ({ now }) => now && figure(now) },
      { name: `Within ${days} days`, number: true, cell: ({ ahead }) => ahead && figure(ahead) },
      { name: 'Could go and now stay', number: true, cell: ({ spared }) => spared && figure(spared) },
    ]}
  />
);

const Differs = ({ of: { change, sides, guard, problems } }: { of: Changed }) => (
  <>
    <State {...CHANGES[change]} />
    <ul className="grid gap-1">
      {sides.map(({ field, was, is }) => (
        <li key={field}>
          {field}: {was !== null && <del>{was}</del>} {is !== null && <ins>{is}</ins>}
        </li>
      ))}
      {guard !== null && <li>The guard will stop its first run: {guard}.</li>}
      {problems.map((problem) => (
        <li key={problem} className="text-warn">
          ▲ {problem}
        </li>
      ))}
    </ul>
  </>
);

const CHANGES = {
  new: { mark: '▲', word: 'New', tone: 'wait' },
  changed: { mark: '▲', word: 'Changed', tone: 'wait' },
  removed: { mark: '○', word: 'Removed', tone: 'rest' },
} as const;
