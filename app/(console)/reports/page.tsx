/** What was deleted, kept and freed in a period, by policy and rule, and whether runs ended in time. Prints on paper as it stands. */
import type { Metadata } from 'next';
import { reading } from '@/lib/http/console/reading';
import { type Days, daysOf, lastDays, PERIODS } from '@/lib/http/console/reports';
import { bytesOf, countOf, manyOf, spanOf } from '@/lib/http/console/words';
import { type CleanupReport, cleanupReport } from '@/lib/operators/audit/report';
import { utcInWords } from '@/lib/platform/in-words';
import { periodInWords } from '@/lib/policies/period';
import { isErasureStep, policyInWords } from '@/lib/policies/step-names';
import { Page, Section } from '../parts/frame';
import { Part } from '../parts/notes';
import { Table } from '../parts/table';
import { shown } from '../shown';
import { visit } from '../visit';

export const metadata: Metadata = { title: 'Reports' };

type Line = CleanupReport['policies'][number];

export default shown(async function Reports({ searchParams }: PageProps<'/reports'>) {
  const v = await visit('/reports', searchParams);
  const { days, period, wrong } = daysOf(v.asked, v.now);
  const report = await reading(v.services, 'The report', () =>
    cleanupReport({ ...v.services, database: v.services.reading }, period),
  );
  const query = new URLSearchParams({ ...days });
  return (
    <Page
      title="Reports"
      said={v.said}
      asOf={v.now}
      acts={
        <>
          <a className="button" href={`/reports/cleanup?${query}&format=csv`} download="">
            CSV
          </a>
          <a className="button" href={`/reports/cleanup?${query}&format=json`} download="">
            JSON
          </a>
        </>
      }
    >
      <PeriodForm days={days} now={v.now} wrong={wrong} />
      <Part of={report}>{(found) => <Report of={found} days={days} />}</Part>
    </Page>
  );
});

function PeriodForm({ days, now, wrong }: { days: Days; now: Date; wrong: string | null }) {
  return (
    <form id="period" method="get" action="/reports" className="flex flex-wrap items-end gap-3">
      <label className="grid basis-40 gap-1">
        From (UTC)
        <input type="date" name="from" defaultValue={days.from} required className="field" />
      </label>
      <label className="grid basis-40 gap-1">
        To, and with it
        <input type="date" name="to" defaultValue={days.to} required className="field" />
      </label>
      <button type="submit" className="button">
        Show
      </button>
      <span className="flex flex-wrap gap-2">
        {PERIODS.map((n) => (
          <a key={n} className="button" href={`/reports?${new URLSearchParams({ ...lastDays(now, n) })}`}>
            {n} days
          </a>
        ))}
      </span>
      {wrong !== null && (
        <p role="alert" className="w-full text-bad">
          ✕ {wrong}. The last seven days are shown.
        </p>
      )}
    </form>
  );
}

function Report({ of: { policies, totals }, days }: { of: CleanupReport; days: Days }) {
  const ran = policies.filter((p) => p.runs + p.dry_runs > 0);
  const changed = ran.reduce((sum, p) => sum + (stayed(p) === null ? 0 : p.rows_deleted), 0);
  return (
    <>
      <Section id="totals" title={`${utcInWords(days.from)} to ${utcInWords(days.to)}`}>
        <p>
          {manyOf(totals.rows_deleted - changed, 'row')} deleted,{' '}
          {manyOf(totals.dependants_deleted, 'dependant')} with them; {manyOf(totals.files_queued, 'file')}{' '}
          and {bytesOf(totals.bytes_freed)} freed.
          {changed > 0 && ` ${manyOf(changed, 'row')} changed and stayed: what identifies a person is gone.`}
        </p>
      </Section>
      <Section id="by-policy" title="By policy">
        <Table
          caption="What each policy did"
          rows={ran}
          rowKey={(p) => p.policy}
          empty="No run began in this period."
          columns={[
            { name: 'Policy', cell: (p) => policyInWords(p.policy) },
            { name: 'Deleted', number: true, cell: rowsOf },
            { name: 'Kept', cell: keptOf },
            { name: 'Freed', number: true, cell: (p) => bytesOf(p.bytes_freed) },
            { name: 'Runs', number: true, cell: (p) => countOf(p.runs) },
            { name: 'Ended', cell: endedOf },
            { name: 'In time', cell: inTimeOf },
            { name: 'Longest', number: true, cell: (p) => spanOf(p.longest_seconds ?? 0) },
          ]}
        />
      </Section>
      <Section id="by-rule" title="By rule">
        <Table
          caption="What went by each rule"
          rows={ran.flatMap((p) =>
            Object.entries(p.by_rule).map(([label, counts]) => ({ policy: p, label, ...counts })),
          )}
          rowKey={(r) => `${r.policy.policy} ${r.label}`}
          empty="Nothing was deleted in this period."
          columns={[
            { name: 'Rule', cell: (r) => ruleOf(r.policy.policy, r.label) },
            { name: 'Kept for', cell: (r) => keepOf(r.policy, r.label) },
            { name: 'Deleted', number: true, cell: (r) => countOf(r.deleted) },
            { name: 'Freed', number: true, cell: (r) => bytesOf(r.bytes) },
          ]}
        />
      </Section>
    </>
  );
}

const joined = (
  parts: readonly (readonly [n: number, what: string, many?: string])[],
  none: string,
): string =>
  parts
    .filter(([n]) => n > 0)
    .map(([n, what, many = what]) => manyOf(n, what, many))
    .join(', ') || none;

/** What was done to rows that stay, by what their receipts call it. */
const STAYED: Readonly<Record<string, string>> = { mask: 'masked', detach: 'cleared' };
const stayed = ({ actions }: Line): string | null => STAYED[actions ?? ''] ?? null;
const rowsOf = (p: Line): string => [countOf(p.rows_deleted), stayed(p)].filter(Boolean).join(' ');

const keptOf = (p: Line): string =>
  joined(
    [
      [p.held, 'held'],
      [p.extended, 'extended'],
      [p.dead_letters, 'dead letter', 'dead letters'],
    ],
    'none on purpose',
  );

const endedOf = (p: Line): string =>
  joined(
    [
      [p.succeeded, 'succeeded'],
      [p.interrupted, 'interrupted'],
      [p.skipped, 'skipped'],
      [p.errored, 'errored'],
      [p.dry_runs, 'dry run', 'dry runs'],
    ],
    'not yet',
  );

const inTimeOf = (p: Line): string =>
  joined(
    [
      [p.within_sla, 'in\u00a0time'],
      [p.warning, 'nearly late'],
      [p.breached, 'too long'],
    ],
    'not measured',
  );

/** A step of an erasure has one rule, which is that somebody asked. */
const ruleOf = (policy: string, label: string): string =>
  isErasureStep(policy) ? policyInWords(policy) : `${policy}, ${label}`;

function keepOf({ policy, retention }: Line, label: string): string {
  if (isErasureStep(policy)) return 'until it was asked for';
  const seconds = retention[label];
  return seconds === undefined ? 'no longer declared' : periodInWords({ seconds });
}
