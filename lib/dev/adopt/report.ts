/** The survey for a person: what could go, how much of it, and what is missing first. No value of a row is in it. */
import Table from 'cli-table3';
import type { Problem } from '../../platform/errors';
import type { Clock } from './clocks';
import type { Age, Sample } from './sample';
import type { Survey, Surveyed } from './survey';
import type { Verdict } from './verdicts';

type Judged = Extract<Verdict, { kind: 'proposed' | 'possible' }>;

export function report(survey: Survey, verdicts: readonly Verdict[]): string {
  const of = <K extends Verdict['kind']>(kind: K) =>
    verdicts.filter((v) => v.kind === kind) as Extract<Verdict, { kind: K }>[];
  const sections = [
    heading(survey, verdicts),
    section('Could go: the clock itself says that a row is over', judged(of('proposed'))),
    section(
      'Could go, if you say so: the engine takes it, whether such rows may go is for you to judge',
      judged(of('possible')),
    ),
    section(
      'Not judged yet: run npm run migrate first, then again',
      of('unjudged')
        .map((v) => `  ${v.table.label} (${v.draft.clock.column})`)
        .join('\n'),
    ),
    section('Not yet: what the engine would refuse, and what mends it', refused(of('refused'))),
    section('No clock: their rows go with other rows, or stay', timeless(of('timeless'))),
    section(
      'Governed already',
      of('governed')
        .map((v) => `  ${v.table.label}: ${v.by}`)
        .join('\n'),
    ),
    section(
      'Technical: no personal data',
      of('technical')
        .map((v) => `  ${v.table.label}: ${v.why}`)
        .join('\n'),
    ),
    section('Looks personal, and no policy governs it', personal(verdicts)),
    section('Could not be looked into', unread(verdicts)),
  ];
  return sections.filter((s) => s !== '').join('\n\n');
}

const section = (title: string, body: string): string => (body === '' ? '' : `${title}\n${body}`);

function heading({ catalog }: Survey, verdicts: readonly Verdict[]): string {
  const bare = catalog.references.filter((f) => !f.indexed).length;
  const bytes = verdicts.reduce((sum, v) => sum + v.table.facts.bytes, 0);
  return `PostgreSQL ${Math.floor(catalog.version / 10_000)}, ${verdicts.length} tables and views, ${size(bytes)}, ${catalog.references.length} foreign keys${bare > 0 ? `, ${bare} of them without an index` : ''}`;
}

/** The most to gain first. */
function judged(found: readonly Judged[]): string {
  if (found.length === 0) return '';
  const rows = [...found].sort((a, b) => old(b) - old(a) || a.table.label.localeCompare(b.table.label));
  const table = plainTable([
    'table',
    'clock',
    'rows',
    '+30 d',
    'older than 30 d',
    '90 d',
    '1 y',
    'oldest',
    'size',
    'goes along',
    'first',
  ]);
  for (const v of rows) table.push(line(v));
  const notes = grouped(rows.flatMap((v) => v.draft.notes.map((note) => [note, v.table.label])));
  const isKept = rows.some((v) => v.draft.input.dependants?.some((d) => d.fate === 'block'));
  const along = isKept ? ['  what may keep a row here goes with it where --along says so'] : [];
  return [table.toString(), ...notes, ...along].join('\n');
}

const old = ({ table, draft }: Judged): number =>
  (shareOf(table, draft.clock)?.day90 ?? 0) * (table.rows ?? 0);

function line({ table, draft, steps }: Judged): string[] {
  const age = shareOf(table, draft.clock);
  const empty = age?.empty ?? table.facts.columns.find((c) => c.name === draft.clock.column)?.null_share ?? 0;
  const older = (share: number | undefined) =>
    table.rows === 0 ? '0' : share === undefined || table.rows === null ? '?' : count(share * table.rows);
  return [
    table.label,
    `${draft.clock.column} (${draft.clock.meaning}${empty > 0 ? `, ${percent(empty)} empty` : ''})`,
    table.rows === null ? '?' : count(table.rows),
    grown(table),
    older(age?.day30),
    older(age?.day90),
    older(age?.day365),
    age?.oldest?.slice(0, 10) ?? '',
    size(table.facts.bytes),
    along(draft.input.dependants ?? []),
    steps.length === 0 ? 'nothing' : `${steps.length} ${steps.length === 1 ? 'statement' : 'statements'}`,
  ];
}

/** How many rows were added in the last thirty days, by the clock of when a row was made. */
function grown(table: Surveyed): string {
  const made = table.clocks.find((c) => c.meaning === 'made' || c.meaning === 'happened');
  const age = made && shareOf(table, made);
  if (age === undefined || table.rows === null) return '';
  return count(Math.max(0, 1 - age.empty - age.ahead - age.day30) * table.rows);
}

/** A note once, with every table it is about. */
function grouped(notes: readonly string[][]): string[] {
  const by = new Map<string, string[]>();
  for (const [note = '', label = ''] of notes) by.set(note, [...(by.get(note) ?? []), label]);
  return [...by].map(([note, labels]) => `  ${note}: ${labels.join(', ')}`);
}

/** More names would break the line. */
const NAMED = 2;

function along(dependants: NonNullable<Judged['draft']['input']['dependants']>): string {
  const tables = (...fates: string[]) => [
    ...new Set(dependants.filter((d) => fates.includes(d.fate)).map((d) => d.table.name)),
  ];
  const letting = tables('keep', 'set-null');
  const going = tables('delete');
  const more = going.length > NAMED ? ` and ${going.length - NAMED} more` : '';
  return [
    ...(going.length > 0 ? [`${going.slice(0, NAMED).join(', ')}${more}`] : []),
    ...(letting.length > 0 ? [`${letting.length} let go`] : []),
    ...(tables('block').length > 0 ? [`${tables('block').length} may keep it`] : []),
  ].join('; ');
}

/** As shares of the rows that were looked at. */
function shareOf(
  { sample }: Surveyed,
  clock: Clock,
): (Omit<Age, 'oldest'> & Pick<Age, 'oldest'>) | undefined {
  if (!isSample(sample) || sample.looked === 0) return undefined;
  const age = sample.ages.get(clock.column);
  if (age === undefined) return undefined;
  const share = (n: number) => n / sample.looked;
  return {
    oldest: age.oldest,
    empty: share(age.empty),
    ahead: share(age.ahead),
    day30: share(age.day30),
    day90: share(age.day90),
    day365: share(age.day365),
  };
}

const isSample = (sample: Surveyed['sample']): sample is Sample =>
  typeof sample === 'object' && sample !== null;

/** All reasons of one table are shown for `--table`; here the first says what kind of thing it is. */
function refused(found: readonly { table: Surveyed; problems: readonly Problem[] }[]): string {
  return [...found]
    .sort((a, b) => b.table.facts.bytes - a.table.facts.bytes || a.table.label.localeCompare(b.table.label))
    .flatMap(({ table, problems }) => [
      `  ${table.label} (${table.rows === null ? '?' : count(table.rows)} rows): ${problems[0]!.problem}`,
      `      ${problems[0]!.remedy}`,
      ...(problems.length > 1
        ? [`      and ${problems.length - 1} more: npm run adopt -- --table ${table.label} names them`]
        : []),
    ])
    .join('\n');
}

/** With the date of the row each refers to, where that has one. */
const timeless = (found: readonly Extract<Verdict, { kind: 'timeless' }>[]): string =>
  found.length === 0
    ? ''
    : `  ${found.map((v) => (v.problem.by ? `${v.table.label} (--clock ${v.problem.by})` : v.table.label)).join(', ')}`;

function personal(verdicts: readonly Verdict[]): string {
  return verdicts
    .filter((v) => v.kind !== 'governed' && v.kind !== 'technical' && v.table.personal.length > 0)
    .map(
      (v) =>
        `  ${v.table.label}: ${v.table.personal.map((p) => (p.shape ? `${p.column} (its values look like ${SHAPES[p.shape]})` : p.column)).join(', ')}`,
    )
    .join('\n');
}
const SHAPES = { email: 'e-mail addresses', ip: 'network addresses', phone: 'telephone numbers' };

const unread = (verdicts: readonly Verdict[]): string =>
  verdicts
    .flatMap(({ table }) => (typeof table.sample === 'string' ? [`  ${table.label}: ${table.sample}`] : []))
    .join('\n');

function plainTable(head: string[]) {
  const none = Object.fromEntries(
    [
      'top',
      'top-mid',
      'top-left',
      'top-right',
      'bottom',
      'bottom-mid',
      'bottom-left',
      'bottom-right',
      'left',
      'left-mid',
      'mid',
      'mid-mid',
      'right',
      'right-mid',
    ].map((k) => [k, '']),
  );
  return new Table({
    head,
    chars: { ...none, middle: ' ' },
    style: { head: [], border: [], 'padding-left': 1, 'padding-right': 0 },
    colAligns: [
      'left',
      'left',
      'right',
      'right',
      'right',
      'right',
      'right',
      'left',
      'right',
      'left',
      'right',
    ],
  });
}

export function count(n: number): string {
  if (n < 1_000) return String(Math.round(n));
  return n < 1_000_000 ? `${(n / 1_000).toFixed(1)}k` : `${(n / 1_000_000).toFixed(1)}m`;
}

function size(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let n = bytes;
  let i = 0;
  for (; n >= 1024 && i < units.length - 1; i += 1) n /= 1024;
  return `${n < 10 && i > 0 ? n.toFixed(1) : Math.round(n)} ${units[i]}`;
}

const percent = (share: number): string => `${Math.max(1, Math.round(share * 100))} %`;

/** Each reason with what mends it. */
export const problemsInWords = (problems: readonly Problem[]): string =>
  problems.flatMap((p) => [`  - ${p.problem}`, `    ${p.remedy}`]).join('\n');
