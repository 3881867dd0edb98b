/** One run: live while it deletes; then why it stopped, what went, what stayed and why. */
import type { Metadata } from 'next';
import { z } from 'zod';
import { isPreview } from '@/lib/http/console/place';
import { reading } from '@/lib/http/console/reading';
import { type Beat, type RunNow, type RunRecord, runNow, shareOf } from '@/lib/http/console/run';
import { keptInWords, secondsLeft } from '@/lib/http/console/sentences';
import { bytesOf, countOf, manyOf, spanOf } from '@/lib/http/console/words';
import { keptBelow, keptTotals } from '@/lib/platform/outcome';
import { isErasureStep, policyInWords } from '@/lib/policies/step-names';
import { Act } from '../../parts/forms';
import { Page, Section } from '../../parts/frame';
import { Empty, Part } from '../../parts/notes';
import { State } from '../../parts/state';
import { Table } from '../../parts/table';
import { Time } from '../../parts/time';
import { nothingHere, shown } from '../../shown';
import { type Visit, visit } from '../../visit';
import { LiveRun } from './live';

export const metadata: Metadata = { title: 'Run' };

export default shown(async function RunPage({ params, searchParams }: PageProps<'/runs/[run]'>) {
  const { run } = await params;
  if (!z.uuid().safeParse(run).success) nothingHere();
  const v = await visit(`/runs/${run}`, searchParams);
  const found = await reading(v.services, 'This run', () => runNow(v.services, run));
  return (
    <Part of={found}>{(now) => (now ? <Known visit={v} now={now} /> : <Unknown visit={v} run={run} />)}</Part>
  );
});

/** Just begun, or never recorded because it was not let begin. */
const Unknown = ({ visit: v, run }: { visit: Visit; run: string }) => (
  <Page title="Run" said={v.said} asOf={v.now}>
    <Empty>
      No run <code>{run}</code> has a record. One that begins this moment has it in a second; one that found
      the policy paused, stopped or at work already never gets one. <a href={`/runs/${run}`}>Look again</a>.
    </Empty>
  </Page>
);

function Known({ visit: v, now }: { visit: Visit; now: RunNow }) {
  const { record: r } = now;
  const mayStop = r.outcome === null && v.who.may('stop') && !isPreview(v.services.settings);
  return (
    <Page
      title={`${r.mode === 'dry_run' ? 'Dry run' : 'Run'} of ${policyInWords(r.policy)}`}
      said={v.said}
      asOf={v.now}
      acts={
        mayStop && (
          <Act
            id="stop-run"
            action="/acts/pause"
            values={{ policy: r.policy, back: `/runs/${r.id}` }}
            label={`Stop this run and pause ${r.policy}`}
            danger
          >
            Stop this run
          </Act>
        )
      }
    >
      <Section id="state" title={r.outcome === null ? 'Now' : 'How it ended'}>
        {r.outcome === null ? (
          <LiveRun id={r.id} first={beatOf(now, v.now)} />
        ) : (
          <State {...now.state}>{now.state.sentence}</State>
        )}
        {mayStop && (
          <p className="text-sm text-quiet">
            Stopping pauses {r.policy}: the batch under way ends, then nothing more goes until somebody
            resumes it.
          </p>
        )}
      </Section>
      {r.preview && <Found run={r} preview={r.preview} />}
      {r.mode === 'delete' && <Gone now={now} />}
      {r.mode === 'delete' && <Batches now={now} />}
      <About run={r} />
    </Page>
  );
}

const beatOf = ({ record, live, state }: RunNow, at: Date): Beat => ({
  ...{ ended: record.outcome !== null, word: state.word, sentence: state.sentence, share: shareOf(live) },
  secondsLeft: live ? secondsLeft(live, record.started_at) : null,
  batches: record.batches,
  at: at.toISOString(),
});

function Found({ run: r, preview: p }: { run: RunRecord; preview: NonNullable<RunRecord['preview']> }) {
  const kept = keptInWords(r.kept, r.kept_below);
  return (
    <Section
      id="found"
      title="What it would delete"
      acts={p.approvable && <a href={`/policies/${r.policy}/approve`}>Approve it…</a>}
    >
      <p>
        {manyOf(p.expired, 'row')}, {manyOf(p.files, 'file')} of {bytesOf(p.bytes)}
        {p.oldest && p.newest && (
          <>
            , with clocks from <Time at={p.oldest} /> to <Time at={p.newest} />
          </>
        )}
        .
      </p>
      {p.blockers.length > 0 && (
        <ul className="grid gap-3">
          {p.blockers.map(({ problem, remedy }) => (
            <li key={problem}>
              ✕ {problem}
              <pre className="mt-1 rounded bg-raised p-3 text-sm">
                <code>{remedy}</code>
              </pre>
            </li>
          ))}
        </ul>
      )}
      <Table
        caption="What it would delete, by rule"
        rows={Object.entries(p.byRule)}
        rowKey={([label]) => label}
        empty="No rule has a row that would go."
        columns={[
          { name: 'Rule', cell: ([label]) => label },
          { name: 'Rows', number: true, cell: ([, x]) => countOf(x.expired) },
          { name: 'Files', number: true, cell: ([, x]) => countOf(x.files) },
          { name: 'Size', number: true, cell: ([, x]) => bytesOf(x.bytes) },
        ]}
      />
      {kept && <p>It would leave {kept}.</p>}
    </Section>
  );
}

function Gone({ now: { record: r, filesWaiting } }: { now: RunNow }) {
  const kept = keptInWords(r.kept, r.kept_below);
  return (
    <Section id="gone" title="What went, and what stayed">
      {r.outcome === null ? (
        <p>Counted when the run ends, from its receipts.</p>
      ) : (
        <>
          <p>
            {manyOf(r.deleted, 'row')} went
            {r.dependants > 0 && `, and ${manyOf(r.dependants, 'row')} with them`}; {manyOf(r.files, 'file')}{' '}
            of {bytesOf(r.bytes)}
            {filesWaiting > 0 &&
              `, ${countOf(filesWaiting)}${filesWaiting >= 1_000 ? ' or more' : ''} still waiting in the outbox`}
            .
          </p>
          <Table
            caption="What went, by rule"
            rows={Object.entries(r.by_rule)}
            rowKey={([label]) => label}
            empty="Nothing went."
            columns={[
              { name: 'Rule', cell: ([label]) => label },
              { name: 'Rows', number: true, cell: ([, x]) => countOf(x.deleted) },
              { name: 'Freed', number: true, cell: ([, x]) => bytesOf(x.bytes) },
            ]}
          />
          {kept && <p>Looked at and left: {kept}.</p>}
          {!kept && r.deleted > 0 && <p>Every row that it looked at went.</p>}
        </>
      )}
    </Section>
  );
}

const Batches = ({ now: { batches, record } }: { now: RunNow }) => (
  <Section id="batches" title="Newest batches">
    <Table
      caption="Batches, the newest first, each with its receipt"
      rows={batches}
      rowKey={({ seq }) => String(seq)}
      empty="It has deleted nothing, so there is no receipt."
      columns={[
        { name: 'Batch', cell: ({ seq }) => seq },
        { name: 'At', cell: ({ at }) => <Time at={at} seconds /> },
        { name: 'Rows', number: true, cell: (b) => countOf(b.deleted) },
        { name: 'Files', number: true, cell: (b) => countOf(b.files) },
        { name: 'Kept', cell: (b) => keptInWords(keptTotals(b.kept), keptBelow(b.kept)) },
        { name: 'Receipt', cell: () => (record.sealed_at ? '✓ sealed' : 'sealed at the end of the run') },
      ]}
    />
  </Section>
);

const About = ({ run: r }: { run: RunRecord }) => (
  <Section id="about" title="About">
    <dl className="grid grid-cols-[auto_1fr] gap-x-4 gap-y-1">
      <dt className="text-quiet">Policy</dt>
      <dd>
        {isErasureStep(r.policy) ? policyInWords(r.policy) : <a href={`/policies/${r.policy}`}>{r.policy}</a>}
        , version <code>{r.version}</code>
      </dd>
      <dt className="text-quiet">Began</dt>
      <dd>
        <Time at={r.started_at} /> by {r.actor}
      </dd>
      <dt className="text-quiet">Ended</dt>
      <dd>
        {r.finished_at ? (
          <>
            <Time at={r.finished_at} />, after{' '}
            {spanOf((r.finished_at.getTime() - r.started_at.getTime()) / 1000)}
          </>
        ) : (
          'not yet'
        )}
      </dd>
      <dt className="text-quiet">Counted back from</dt>
      <dd>
        <Time at={r.as_of} />
      </dd>
      <dt className="text-quiet">Id</dt>
      <dd>
        <code className="break-all">{r.id}</code>
      </dd>
    </dl>
  </Section>
);
