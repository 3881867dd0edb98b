/** One policy: its rule in words and on what ground, what it would delete now, what if it kept longer, its history. */
import type { Metadata } from 'next';
import { isPreview } from '@/lib/http/console/place';
import { type PoliciesNow, type PolicyNow, policiesNow } from '@/lib/http/console/policies';
import {
  type DeclaredVersion,
  daysIn,
  historyOf,
  type ListedRun,
  type NewestPreview,
  type PolicyHistory,
  type WhatIf,
  whatIf,
} from '@/lib/http/console/policy';
import { type Read, reading } from '@/lib/http/console/reading';
import { ended } from '@/lib/http/console/sentences';
import { agoOf, countOf, manyOf, minuteOf, spanOf } from '@/lib/http/console/words';
import type { Policy } from '@/lib/policies/contract';
import { inWords, periodInWords } from '@/lib/policies/in-words';
import { strategyOf } from '@/lib/policies/strategies';
import { Bars } from '../../parts/bars';
import { Act, Field } from '../../parts/forms';
import { Page, Section } from '../../parts/frame';
import { Part } from '../../parts/notes';
import { Progress, State } from '../../parts/state';
import { Stopped } from '../../parts/stopped';
import { NextPage, Table } from '../../parts/table';
import { Ago, Time } from '../../parts/time';
import { nothingHere, shown } from '../../shown';
import { type Visit, visit } from '../../visit';

export async function generateMetadata({ params }: PageProps<'/policies/[policy]'>): Promise<Metadata> {
  return { title: (await params).policy };
}

export default shown(async function PolicyPage({ params, searchParams }: PageProps<'/policies/[policy]'>) {
  const { policy: name } = await params;
  const v = await visit(`/policies/${name}`, searchParams);
  const { services: s } = v;
  const policy = s.policies.find((p) => p.name === name);
  if (!policy) nothingHere();
  const { days } = v.asked;
  const [now, history, other] = await Promise.all([
    reading(s, 'The state of this policy', () => policiesNow(s, [policy])),
    reading(s, 'Its history', () => historyOf(s, name, v.asked.before)),
    days === undefined ? null : reading(s, 'What would go then', () => whatIf(s, policy, daysIn(days))),
  ]);
  return (
    <Page title={name} said={v.said} asOf={v.now} acts={<Acts visit={v} name={name} of={now} />}>
      <Now visit={v} now={now} />
      <Rule policy={policy} history={history} />
      <WouldGo visit={v} policy={policy} now={now} history={history} />
      <WhatIfSection visit={v} policy={policy} other={other} />
      <Part of={history}>
        {(h) => (
          <>
            <Nights policy={policy} nights={h.nights} />
            <Runs policy={policy} history={h} now={v.now} />
            <Versions policy={policy} versions={h.versions} />
          </>
        )}
      </Part>
    </Page>
  );
});

const onlyOne = (now: Read<PoliciesNow>): PolicyNow | null =>
  now.ok ? (now.value.policies[0] ?? null) : null;

/** While its state cannot be read it can still be paused, which says so where it is paused already. */
function Acts({ visit: v, name, of }: { visit: Visit; name: string; of: Read<PoliciesNow> }) {
  const now = onlyOne(of);
  const values = { policy: name, back: `/policies/${name}` };
  const production = !isPreview(v.services.settings);
  return (
    <>
      {now && v.who.may('operate') && (
        <Act id="preview" action="/acts/preview" values={values} label={`Dry run of ${name}: reads only`}>
          Dry run
        </Act>
      )}
      {now && production && v.who.may('operate') && (
        <a href={`/policies/${name}/run`} className="button">
          Run now…
        </a>
      )}
      {production && now?.facts.paused && v.who.may('operate') && (
        <Act id="resume" action="/acts/resume" values={values} label={`Resume ${name}`}>
          Resume
        </Act>
      )}
      {production && !now?.facts.paused && v.who.may('stop') && (
        <Act id="pause" action="/acts/pause" values={values} label={`Pause ${name}`}>
          Pause
        </Act>
      )}
    </>
  );
}

function Now({ visit: v, now }: { visit: Visit; now: Read<PoliciesNow> }) {
  return (
    <Part of={now}>
      {({ stopped, policies: [p] }) => (
        <>
          {stopped && <Stopped of={stopped} visit={v} />}
          {p && (
            <Section
              id="state"
              title="State"
              acts={
                p.runId && (
                  <a href={`/runs/${p.runId}`}>{p.facts.live ? 'Watch the run' : 'Its newest run'}</a>
                )
              }
            >
              <State {...p.state}>{p.state.sentence}</State>
              {p.share !== null && <Progress share={p.share} label="How far its run is" />}
              {p.state.word === 'Guarded' && v.who.may('audit') && (
                <p>
                  <a href={`/policies/${p.policy.name}/approve`} className="button">
                    Review what was stopped
                  </a>
                </p>
              )}
              <p className="flex flex-wrap gap-x-4">
                {v.who.may('audit') && <a href={`/policies/${p.policy.name}/approve`}>Preview to approve</a>}
                <a href={`/policies/${p.policy.name}/rollout`}>Rollout</a>
                <a href={`/policies/${p.policy.name}/breaker`}>Breaker</a>
                <a href={`/policies/${p.policy.name}/lock`}>Lock</a>
              </p>
              <p className="text-sm text-quiet">
                Runs at <code>{p.policy.schedule.run}</code> (UTC)
                {p.facts.next && `, next ${minuteOf(p.facts.next)}, ${agoOf(p.facts.next, v.now)}`}.
              </p>
            </Section>
          )}
        </>
      )}
    </Part>
  );
}

function Rule({ policy, history }: { policy: Policy; history: Read<PolicyHistory> }) {
  const version = history.ok ? history.value.versions[0] : undefined;
  const files = policy.files.filter((f) => f.fate === 'delete').length;
  return (
    <Section id="rule" title="Rule">
      <p>{policy.description}</p>
      <ul className="grid list-disc gap-1 pl-5">
        {inWords(policy).map((rule) => (
          <li key={rule}>{rule}</li>
        ))}
      </ul>
      <p>
        Counted from <code>{policy.clock.column}</code> of{' '}
        <code>{`${policy.table.schema}.${policy.table.name}`}</code>. Then it is{' '}
        {strategyOf(policy).words.end}
        {files > 0 && ', with its files'}. {policy.justification}
      </p>
      <p>
        Ground: {policy.ground}.{' '}
        {version && (
          <>
            Version <code>{version.version}</code>, by {version.declared_by}, since{' '}
            <Time at={version.declared_at} />.
          </>
        )}
      </p>
      <p className="text-sm text-quiet">
        Never taken: what is held or extended, has no date, matches no rule, or is kept by another row that
        refers to it.
      </p>
    </Section>
  );
}

function WouldGo(props: {
  visit: Visit;
  policy: Policy;
  now: Read<PoliciesNow>;
  history: Read<PolicyHistory>;
}) {
  const { visit: v, now, history } = props;
  const backlog = onlyOne(now)?.backlog;
  return (
    <Section id="would-go" title="What it would delete now">
      <p>
        {!now.ok
          ? 'What was measured last could not be read.'
          : backlog
            ? `${manyOf(backlog.waiting, 'row')} past ${backlog.waiting === 1 ? 'its' : 'their'} date when last measured${backlog.seconds > 0 ? `, the oldest for ${spanOf(backlog.seconds)}` : ''}.`
            : 'Not measured yet: the cron backlog does it each hour.'}{' '}
        A dry run counts what would go, exactly.
      </p>
      <Part of={history}>
        {({ preview }) =>
          preview ? <ByRule preview={preview} now={v.now} /> : <p>No dry run is on record.</p>
        }
      </Part>
    </Section>
  );
}

const ByRule = ({ preview: p, now }: { preview: NewestPreview; now: Date }) => (
  <>
    <p>
      The <a href={`/runs/${p.id}`}>newest dry run</a> (<Ago at={p.started_at} now={now} />) found{' '}
      {p.complete ? '' : 'at least '}
      {manyOf(p.expired, 'row')}.
    </p>
    <Table
      caption="What the newest dry run found, by rule"
      rows={Object.entries(p.by_rule ?? {})}
      rowKey={([label]) => label}
      empty="No rule had a row that would go."
      columns={[
        { name: 'Rule', cell: ([label]) => label },
        { name: 'Rows', number: true, cell: ([, x]) => countOf(x.expired) },
        { name: 'Files', number: true, cell: ([, x]) => countOf(x.files) },
      ]}
    />
  </>
);

function WhatIfSection(props: { visit: Visit; policy: Policy; other: Read<WhatIf> | null }) {
  const { visit: v, policy, other } = props;
  const period = policy.rules.find((r) => r.keepFor.seconds !== null)?.keepFor;
  if (!period) return null;
  const declared = Math.round((period.seconds ?? 0) / 86_400);
  return (
    <Section id="what-if" title="What if it kept rows for another time?">
      <form
        id="what-if-form"
        action={`/policies/${policy.name}#what-if`}
        className="flex flex-wrap items-end gap-3"
      >
        <Field
          name="days"
          label="Kept for so many days"
          type="number"
          value={v.asked.days ?? String(declared)}
          said={null}
        />
        <button type="submit" className="button">
          Count
        </button>
      </form>
      {other && (
        <Part of={other}>
          {({ days, now, inAMonth, most }) => (
            <p role="status">
              Kept for {days === 1 ? 'a day' : periodInWords({ seconds: days * 86_400 })},{' '}
              {atLeast(now, most)} would be past {now === 1 ? 'its' : 'their'} date today,{' '}
              {atLeast(inAMonth, most)} in 30 days of those there now. Nothing was changed.
            </p>
          )}
        </Part>
      )}
    </Section>
  );
}

const atLeast = (n: number, most: number): string =>
  n > most ? `more than ${manyOf(most, 'row')}` : manyOf(n, 'row');

function Nights({ policy, nights }: { policy: Policy; nights: PolicyHistory['nights'] }) {
  if (nights.length === 0) return null;
  const shown = nights.slice(-10).reverse();
  return (
    <Section id="nights" title="Rows a run">
      {nights.some((n) => n.deleted > 0) && (
        <Bars
          values={nights.map((n) => n.deleted)}
          label={`Rows deleted by the last ${nights.length} runs of ${policy.name}`}
          tall
        />
      )}
      <details>
        <summary className="flex min-h-11 items-center">The last {shown.length} as a table</summary>
        <Table
          caption="Rows a run, the newest first"
          rows={shown}
          rowKey={(n) => n.started_at.toISOString()}
          empty="No run yet."
          columns={[
            { name: 'Run', cell: (n) => <Time at={n.started_at} /> },
            { name: 'Rows', number: true, cell: (n) => countOf(n.deleted) },
          ]}
        />
      </details>
    </Section>
  );
}

function Runs({
  policy,
  history: { runs, older },
  now,
}: {
  policy: Policy;
  history: PolicyHistory;
  now: Date;
}) {
  return (
    <Section id="runs" title="Runs">
      <Table
        caption="Runs, the newest first"
        rows={runs}
        rowKey={(r) => r.id}
        empty={
          <>
            It has not run yet. <strong>Dry run</strong> above shows what its first run would delete;{' '}
            {policy.name} then runs at its schedule.
          </>
        }
        columns={[
          {
            name: 'Began',
            cell: (r) => (
              <a href={`/runs/${r.id}`}>
                <Time at={r.started_at} />
              </a>
            ),
          },
          { name: 'How it went', cell: (r) => <RunState run={r} now={now} /> },
          { name: 'Deleted', number: true, cell: (r) => countOf(r.deleted) },
          { name: 'By', cell: (r) => <span className="whitespace-nowrap">{r.actor}</span> },
        ]}
      />
      <NextPage href={older && `/policies/${policy.name}?before=${encodeURIComponent(older)}#runs`}>
        Older runs
      </NextPage>
    </Section>
  );
}

function RunState({ run: r, now }: { run: ListedRun; now: Date }) {
  if (r.outcome === null) return <>not ended, began {agoOf(r.started_at, now)}</>;
  const state = ended({
    ...{
      mode: r.mode,
      outcome: r.outcome,
      reason: r.reason,
      deleted: r.deleted,
      batches: r.batches,
      kept: r.kept,
      keptBelow: r.kept_below,
    },
    ...{ startedAt: r.started_at, finishedAt: r.finished_at },
    wouldGo: r.mode === 'dry_run' ? { rows: r.expired ?? 0, runs: r.runs ?? 0 } : null,
  });
  return <State {...state}>{state.sentence}</State>;
}

const Versions = ({ policy, versions }: { policy: Policy; versions: readonly DeclaredVersion[] }) => (
  <Section id="versions" title="Versions">
    <Table
      caption="Versions, the newest first: who changed what, and from when it counts"
      rows={versions}
      rowKey={(x) => x.version + x.declared_at.toISOString()}
      empty={`No run has used ${policy.name} yet, so none is on record.`}
      columns={[
        { name: 'Version', cell: (x) => <code>{x.version}</code> },
        { name: 'By', cell: (x) => x.declared_by },
        { name: 'Since', cell: (x) => <Time at={x.declared_at} /> },
        {
          name: 'In force from',
          cell: (x) => (x.in_force_at ? <Time at={x.in_force_at} /> : 'waits for its cooling-off'),
        },
        {
          name: 'Kept for',
          cell: (x) =>
            Object.entries(x.periods)
              .map(
                ([label, seconds]) =>
                  `${label}: ${seconds === null ? 'forever' : periodInWords({ seconds })}`,
              )
              .join('; '),
        },
        { name: 'Clean runs', number: true, cell: (x) => countOf(x.clean_runs) },
      ]}
    />
  </Section>
);
