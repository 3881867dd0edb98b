/** A plan as Markdown, for the comment on a pull request: first what becomes deletable, then each change beside production. */

import type { Moments, Stays } from './effect';
import type { Counts } from './except';
import type { Plan, PolicyPlan } from './plan';

export function planInWords(plan: Plan): string {
  const changes = plan.policies.filter((p) => p.change !== 'unchanged');
  const same = plan.policies.filter((p) => p.change === 'unchanged');
  return [
    '## Retention plan',
    '',
    headline(plan, changes),
    ...changes.flatMap((p) => ['', ...changeInWords(p, plan.days)]),
    ...unchanged(same),
    '',
    `Compared with what production last ran, as of ${plan.asOf}. Nothing was changed.`,
    '',
  ].join('\n');
}

function headline({ policies, days }: Plan, changes: readonly PolicyPlan[]): string {
  if (changes.length === 0) return `None of ${counted(policies.length, 'policy', 'policies')} changes.`;
  const becomes = changes.flatMap((p) => p.effect?.becomes ?? []);
  const all = (at: keyof Moments) => inAll(becomes.map((m) => m[at]));
  const uncounted = changes.filter((p) => p.problems.length > 0 && p.effect === null);
  return [
    `${changes.length} of ${counted(policies.length, 'policy', 'policies')} ${changes.length === 1 ? 'changes' : 'change'}.`,
    `**${all('now')} become deletable because of it now, ${all('ahead')} within ${days} days**; without it, ${all('beyond')} of those would still be there then.`,
    ...(uncounted.length > 0 ? [`**Not counted: ${uncounted.map((p) => p.policy).join(', ')}.**`] : []),
  ].join(' ');
}

function changeInWords(plan: PolicyPlan, days: number): string[] {
  return [
    `### \`${plan.policy}\`: ${plan.change}`,
    '',
    '| | production | this branch |',
    '|---|---|---|',
    `| version | ${plan.production ? `\`${plan.production.version}\` since ${plan.production.since}` : '–'} | ${plan.branch ? `\`${plan.branch.version}\`` : '–'} |`,
    ...plan.sides.map(({ field, production, branch }) => {
      const differs = production !== branch;
      const face = (text: string | null) =>
        text === null ? '–' : differs ? `**${cell(text)}**` : cell(text);
      return `| ${field} | ${face(production)} | ${face(branch)} |`;
    }),
    ...(plan.effect ? ['', ...effectInWords(plan.effect, days)] : []),
    ...plan.problems.flatMap((problem) => ['', `> ${problem}`]),
  ];
}

function effectInWords(
  { becomes, spared, stays }: NonNullable<PolicyPlan['effect']>,
  days: number,
): string[] {
  const along = [becomes, spared].flatMap((m) =>
    [m?.now, m?.ahead].flatMap((c) => Object.keys(c?.dependants ?? {})),
  );
  const line = (what: string, m: Moments | null, of: (c: Counts) => string): string[] =>
    m ? [`| ${what} | ${of(m.now)} | ${of(m.ahead)} | ${of(m.beyond)} |`] : [];
  return [
    `| | now | within ${days} days | of those, still there then without it |`,
    '|---|---|---|---|',
    ...line('**rows that become deletable**', becomes, (c) => `**${figure(c, c.rows)}**`),
    ...[...new Set(along)].flatMap((table) =>
      line(`with them: ${cell(table)}`, becomes, (c) => figure(c, c.dependants[table] ?? 0)),
    ),
    ...line('their files', becomes, (c) => `${figure(c, c.files)} (${bytes(c.bytes)})`),
    ...line('held, by a legal hold', becomes, (c) => figure(c, c.kept.held)),
    ...line('kept by an extension', becomes, (c) => figure(c, c.kept.extended)),
    ...line('dead letters, or still referred to', becomes, (c) =>
      figure(c, c.kept.dead_letter + c.kept.referenced),
    ),
    ...line('rows that could go and now stay', spared, (c) => figure(c, c.rows)),
    ...(stays ? staysInWords(stays) : []),
  ];
}

function staysInWords({ coolingOff, coolingDays, guard, steps }: Stays): string[] {
  const lines = [
    coolingOff > 0
      ? `${number(coolingOff)} of these rows stay for the cooling-off: ${coolingDays} days from the first run of this version.`
      : null,
    guard === null ? null : `The mass-deletion guard will stop the run before its first delete: ${guard}.`,
    steps === null
      ? null
      : `Its first clean runs may delete ${steps.map(number).join(', then ')} rows, then all.`,
  ].filter((line) => line !== null);
  return lines.length === 0 ? [] : ['', ...lines.map((line) => `- ${line}`)];
}

function unchanged(same: readonly PolicyPlan[]): string[] {
  if (same.length === 0) return [];
  const cellOf = (p: PolicyPlan, field: string) =>
    p.sides
      .filter((s) => s.field === field || s.field.startsWith(`${field} `))
      .map((s) => cell(`${s.field.slice(field.length + 1)} ${s.branch ?? ''}`.trim()))
      .join('; ');
  return [
    '',
    `<details><summary>${counted(same.length, 'policy', 'policies')} unchanged</summary>`,
    '',
    '| policy | period | schedule | version |',
    '|---|---|---|---|',
    ...same.map(
      (p) => `| ${p.policy} | ${cellOf(p, 'period')} | ${cellOf(p, 'schedule')} | \`${p.branch?.version}\` |`,
    ),
    '',
    '</details>',
  ];
}

const number = (n: number): string => n.toLocaleString('en');
const figure = (c: Counts, n: number): string => `${c.complete ? '' : 'more than '}${number(n)}`;
const counted = (n: number, one: string, many: string): string => `${number(n)} ${n === 1 ? one : many}`;

/** `3 rows and 1 file`, with the rows that go along where there are any. */
function inAll(counts: readonly Counts[]): string {
  const sum = (of: (c: Counts) => number) => counts.reduce((n, c) => n + of(c), 0);
  const along = sum((c) => Object.values(c.dependants).reduce((n, m) => n + m, 0));
  const atLeast = counts.every((c) => c.complete) ? '' : 'more than ';
  return [
    `${atLeast}${counted(
      sum((c) => c.rows),
      'row',
      'rows',
    )}`,
    along > 0 ? ` with ${number(along)} that go along` : '',
    ` and ${counted(
      sum((c) => c.files),
      'file',
      'files',
    )}`,
  ].join('');
}

function bytes(n: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  const power = n < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(n) / 3));
  return `${(n / 1000 ** power).toLocaleString('en', { maximumFractionDigits: 1 })} ${units[power]}`;
}

/** One cell of a table: what a column or a predicate is called must neither end it nor mention anyone. */
const cell = (text: string): string =>
  text
    .replace(/\s+/g, ' ')
    .replaceAll('\\', '\\\\')
    .replaceAll('|', '\\|')
    .replaceAll('<', '&lt;')
    .replaceAll('@', '@\u200b');
