/** A run that the guard stopped, as a person needs to see it: the frozen preview, what is different, and three ways to go on. */
import type { Metadata } from 'next';
import { type FrozenPreview, type GuardStop, guardStop } from '@/lib/http/console/approval';
import { keptInWords } from '@/lib/http/console/sentences';
import { bytesOf, countOf, manyOf, minuteOf, shareOf, spanOf } from '@/lib/http/console/words';
import { tableLabel } from '@/lib/platform/sql';
import { Facts, ForWhoMay, link, mayAct, orNotFound, Reason } from '../../../parts/deciding';
import { Act, Confirm, TypedName } from '../../../parts/forms';
import { Page, Section } from '../../../parts/frame';
import { Empty } from '../../../parts/notes';
import { Table } from '../../../parts/table';
import { Ago, Time } from '../../../parts/time';
import { shown } from '../../../shown';
import { type Visit, visit } from '../../../visit';

export const metadata: Metadata = { title: 'Approve' };

export default shown(async function Approve({
  params,
  searchParams,
}: PageProps<'/policies/[policy]/approve'>) {
  const { policy } = await params;
  const v = await visit(`/policies/${policy}/approve`, searchParams, 'audit');
  const stop = await orNotFound(guardStop(v.services, policy, v.who.name));
  const { preview } = stop;
  const title = preview
    ? `Delete ${manyOf(preview.expired, 'row')}${preview.files > 0 ? ` and ${bytesOf(preview.bytes)} of files` : ''}?`
    : `${policy}: no preview to approve`;
  return (
    <Page title={title} said={v.said} asOf={v.now}>
      <Stopped stop={stop} />
      {preview ? (
        <Preview visit={v} stop={stop} preview={preview} />
      ) : (
        <NoPreview visit={v} policy={policy} />
      )}
      <Section id="other" title="Or">
        <div className="flex flex-wrap gap-3">
          {mayAct(v, 'stop') && (
            <Act
              id="keep-stopped"
              action="/acts/pause"
              values={{
                policy,
                reason: 'kept stopped after the guard',
                back: `/policies/${policy}/approve`,
              }}
            >
              Pause {policy}
            </Act>
          )}
          <a className="button" href={link('/holds/new', { scope: 'organization' })}>
            Hold an organization
          </a>
          <a className="button" href={`/policies/${policy}`}>
            Back to {policy}
          </a>
        </div>
        <p className="text-sm text-quiet">
          Paused, {policy} stays stopped: no run of it tries again until somebody else resumes it. A hold
          keeps rows whatever is approved.
        </p>
      </Section>
    </Page>
  );
});

function Stopped({ stop: { policy, stopped, limit, step } }: { stop: GuardStop }) {
  return (
    <Section id="stopped" title={stopped ? '▲ Stopped before deleting' : 'Not stopped now'}>
      <p>
        {stopped ? (
          <>
            The run of <Time at={stopped.at} /> stopped before its first delete: more rows would go than{' '}
            {limit.because}. Nothing was deleted.
          </>
        ) : (
          `The latest run of ${policy.name} was not stopped by the guard. An approval counts for the next run that is.`
        )}
        {step !== null &&
          ` The rollout lets the next run delete ${manyOf(step, 'row')}; an approved preview goes whole.`}
      </p>
    </Section>
  );
}

function NoPreview({ visit: v, policy }: { visit: Visit; policy: string }) {
  return (
    <Section id="preview" title="Preview">
      <Empty>
        An approval names a preview: what would go, frozen. There is none of this rule that still counts: it
        was never made, has expired, or the rule changed since.
      </Empty>
      <ForWhoMay visit={v} needs="operate">
        <Act id="make-preview" action="/acts/preview" values={{ policy }}>
          Make a preview
        </Act>
      </ForWhoMay>
    </Section>
  );
}

function Preview({ visit: v, stop, preview }: { visit: Visit; stop: GuardStop; preview: FrozenPreview }) {
  const { policy, differences, notYou } = stop;
  const isVoid = spanOf((Date.parse(preview.expires_at) - v.now.getTime()) / 1000);
  return (
    <>
      <Section id="different" title="Different from the nights before">
        {differences.length === 0 ? (
          <p>Nothing stands out against the runs before but the limit itself.</p>
        ) : (
          <ul className="grid list-disc gap-1 pl-5">
            {differences.map((sentence) => (
              <li key={sentence}>{sentence}</li>
            ))}
          </ul>
        )}
      </Section>
      <Section id="preview" title={`Preview pv_${preview.digest.slice(0, 8)}`}>
        <Seen preview={preview} now={v.now} isVoid={isVoid} />
        <ByRule preview={preview} />
        <Samples policy={policy.name} table={tableLabel(policy.table)} preview={preview} />
      </Section>
      <Section id="approve" title="Approve">
        <ForWhoMay visit={v} needs="approve" not={notYou}>
          <Confirm
            id="approve-preview"
            action="/acts/approve"
            values={{ policy: policy.name, digest: preview.digest }}
            consequences={[
              `The next run of ${policy.name} deletes exactly these ${manyOf(preview.expired, 'row')}, if they are still the same.`,
              `The approval is void when rows, rule or time change; this preview is void in ${isVoid}.`,
              policy.strategy.kind === 'archive'
                ? 'They are archived first, and can be restored as long as the archive is kept.'
                : 'No archive brings them back.',
            ]}
            yes={`Approve ${manyOf(preview.expired, 'row')}`}
            no={{ text: 'Keep stopped', href: `/policies/${policy.name}` }}
            said={v.said}
          >
            {(said) => (
              <>
                <TypedName name="confirm" value={policy.name} said={said} />
                <Reason said={said} />
              </>
            )}
          </Confirm>
        </ForWhoMay>
      </Section>
    </>
  );
}

function Seen({ preview, now, isVoid }: { preview: FrozenPreview; now: Date; isVoid: string }) {
  const kept = keptInWords(preview.kept, preview.kept_below ?? {});
  const along = Object.entries(preview.dependants).filter(([, n]) => n > 0);
  return (
    <Facts
      of={{
        Rows: countOf(preview.expired),
        Files: `${countOf(preview.files)}, ${bytesOf(preview.bytes)}`,
        'With them':
          along.length > 0 ? along.map(([table, n]) => `${countOf(n)} of ${table}`).join(', ') : null,
        'Would stay': kept || null,
        'Oldest and newest': preview.oldest
          ? `${minuteOf(new Date(preview.oldest))} and ${minuteOf(new Date(preview.newest ?? preview.oldest))}`
          : null,
        Made: (
          <>
            <Ago at={preview.made_at} now={now} /> by {preview.made_by}
          </>
        ),
        'Void in': isVoid,
        'Approved by': preview.approved_by,
      }}
    />
  );
}

function ByRule({ preview }: { preview: FrozenPreview }) {
  return (
    <Table
      caption="Rows by rule"
      rows={Object.entries(preview.by_rule)}
      rowKey={([rule]) => rule}
      empty="No row would go."
      columns={[
        { name: 'Rule', cell: ([rule]) => rule },
        { name: 'Rows', number: true, cell: ([, r]) => countOf(r.expired) },
        {
          name: 'Share',
          number: true,
          cell: ([, r]) => shareOf(preview.expired > 0 ? r.expired / preview.expired : 0),
        },
        { name: 'Files', number: true, cell: ([, r]) => countOf(r.files) },
        { name: 'Bytes', number: true, cell: ([, r]) => bytesOf(r.bytes) },
      ]}
    />
  );
}

function Samples({ policy, table, preview }: { policy: string; table: string; preview: FrozenPreview }) {
  if (preview.samples.length === 0) return null;
  return (
    <details>
      <summary className="min-h-11">
        {manyOf(preview.samples.length, 'sample key')} of {policy}
      </summary>
      <ul className="grid gap-1">
        {preview.samples.map((key) => (
          <li key={key} className="flex flex-wrap items-center gap-3">
            <code className="wrap-anywhere">{key}</code>
            <a href={link('/why', { id: key })}>Why</a>
            <a href={link('/holds/new', { scope: 'item', table, subject: key })}>Hold this row</a>
          </li>
        ))}
      </ul>
    </details>
  );
}
