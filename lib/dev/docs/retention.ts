/**
 * docs/RETENTION.md: the retention policy in plain words, for the people whose data it is. Every sentence about a table is made from
 * its declaration, so that what is published is what is deleted.
 */
import { EVIDENCE_DAYS, OWN_RECORDS } from '../../operators/records/periods';
import { clockInWords } from '../../policies/clocks';
import { consentOf } from '../../policies/consent';
import type { contact } from '../../policies/contact';
import { goesWhole, type PermanentTable, type Policy } from '../../policies/contract';
import { goingDependants, ownFiles } from '../../policies/going';
import { periodInWords } from '../../policies/in-words';
import { purgeOf } from '../../policies/purge';
import { sparedInWords } from '../../policies/spared';
import { strategyOf } from '../../policies/strategies';

export interface Declared {
  readonly policies: readonly Policy[];
  readonly permanent: readonly PermanentTable[];
  readonly contact: { readonly [K in keyof typeof contact]: string };
}

export function retentionPolicy({ policies, permanent, contact: ask }: Declared): string {
  const purges = new Map(policies.map((p) => [p.name, p]));
  // A purge is the second half of its policy and is described there; so is what goes without consent.
  const described = policies.filter((p) => derivedFrom(p, policies) === undefined);
  return `${[
    '# How long we keep data',
    'This is our retention policy in plain words: what we keep, how long, why, and what happens then. It is made from the rules that the\nsoftware itself follows (`npm run docs:retention`), so it says what is done, and nothing else. Times are UTC.',
    ...(described.length > 0
      ? [
          '## In short',
          inShort(described),
          ...described.map((p) => section(p, purges.get(`${p.name}-purge`))),
        ]
      : ['## In short', 'No period is declared yet: nothing is deleted automatically.']),
    ...(permanent.length > 0 ? ['## What we keep forever', permanent.map(keptForEver).join('\n\n')] : []),
    LONGER,
    SOONER,
    STAYS,
    `## Whom to ask\n\nAsk ${ask.who}: <${ask.address}>. You can ask what we hold about you, have it corrected or erased, and object.\nYou can also ask why something was deleted or is still kept: we can answer that for every row.`,
  ].join('\n\n')}\n`;
}

const LONGER = `## What can keep data longer

- **A legal hold.** Where a court, an authority or a dispute needs data, it is held: nothing deletes it until the hold is released,
  which needs a second person.
- **An extension.** A single item can be given a later day; where the period depends on the plan, an organization can be given a
  period of its own.
- **A change of plan or policy.** Whenever a period becomes shorter, the longer one counts for some days more (seven, unless set
  otherwise), so that a change by mistake deletes nothing.
- **Something goes wrong.** When a run would delete unusually much, it stops and waits for a person.`;

const days = (n: number): string => periodInWords({ seconds: n * 86_400 });
const fileNameDays = OWN_RECORDS.find(({ kind }) => kind === 'file_names')?.keepDays ?? 0;
const STAYS = `## What stays after a deletion

A record that something was deleted: when, under which rule, and the key of each row, but nothing that it said. Such records are
kept for at least ${days(EVIDENCE_DAYS)}, as evidence. Names of deleted files are made unreadable after ${days(fileNameDays)}. Copies in
backups are gone when the backup itself expires.`;

const SOONER = `## What can end it sooner

- **Your request.** When you ask us to erase your data, we erase it whatever its age and plan, unless a legal hold keeps it.
  For each kind of data above you can read whether such a request reaches it by itself. Erasing everything of an organization
  takes a second person.
- **You delete it yourself**, where the service lets you.`;

const derivedFrom = (policy: Policy, all: readonly Policy[]): Policy | undefined =>
  all.find((p) => purgeOf(p)?.name === policy.name || consentOf(p)?.name === policy.name);

/** `quiz-responses` and `completed_at` as they stand in a sentence. */
const spoken = (name: string): string => name.replaceAll(/[-_]/g, ' ');
const title = (name: string): string => spoken(name).replace(/^./, (c) => c.toUpperCase());

function inShort(policies: readonly Policy[]): string {
  const rows = policies.map((p) => {
    const periods = p.rules.map((r) =>
      p.rules.length > 1 ? `${spoken(r.label)}: ${periodInWords(r.keepFor)}` : periodInWords(r.keepFor),
    );
    return `| [${title(p.name)}](#${p.name}) | ${periods.join('; ')} | ${spoken(clockInWords(p.clock))} | ${endOf(p)} |`;
  });
  return ['| What | How long | Counted from | Then |', '|---|---|---|---|', ...rows].join('\n');
}

const endOf = (p: Policy): string =>
  `${strategyOf(p).words.end}${ownFiles(p).length > 0 ? ', with its files' : ''}`;

function section(p: Policy, purge: Policy | undefined): string {
  return [
    `## ${title(p.name)}`,
    p.description,
    [
      `- **How long.** ${howLong(p)}`,
      ...onlySome(p),
      `- **Why this long.** ${p.justification}`,
      `- **On what ground.** ${p.ground}.`,
      `- **What happens then.** ${whatThen(p, purge)}`,
      ...consequences(purge ?? p),
      ...onConsent(p),
      `- **Erasure on request.** ${reach(p)}`,
    ].join('\n'),
  ].join('\n\n');
}

const onConsent = ({ consent }: Policy): string[] =>
  consent
    ? [
        `- **If you withdraw your consent** to “${consent.purpose.is}”: all of yours goes with the next daily run, whatever its age, unless a legal hold keeps it or you give it again before.`,
      ]
    : [];

function howLong(p: Policy): string {
  const from = `counted from “${spoken(clockInWords(p.clock))}”; where that is empty, nothing is deleted`;
  if (p.rules.length === 1) return `${capital(periodInWords(p.rules[0]!.keepFor))}, ${from}.`;
  const cases = p.rules.map((r) => `${spoken(r.label)} ${periodInWords(r.keepFor)}`).join(', ');
  const others = p.tenants
    ? 'An organization may have a period of its own, which then counts instead'
    : 'What is none of these is kept';
  return `By ${p.tenants ? 'plan of the organization' : 'case'}: ${cases}, ${from}. ${others}.`;
}

/** Of several rules the list of cases says it. */
function onlySome({ rules, where }: Policy): string[] {
  const only = Object.entries(rules.length === 1 ? rules[0]!.match : {}).map(
    ([column, is]) => `“${spoken(column)}” is “${is}”`,
  );
  const both = [...only, ...(where === undefined ? [] : [`this condition holds: \`${where}\``])];
  return both.length === 0 ? [] : [`- **Which of them.** Only where ${both.join(' and ')}. All others stay.`];
}

function whatThen(p: Policy, purge: Policy | undefined): string {
  const when = scheduleInWords(p.schedule.run);
  const what = goesWhole(p)
    ? `a ${p.partitioned?.by} at once where all of it is past its period, the rest row by row`
    : 'row by row';
  const { words, grace } = strategyOf(p);
  const later =
    purge && grace
      ? ` It is deleted for good ${periodInWords(grace.period)} later (${scheduleInWords(purge.schedule.run)}).`
      : '';
  return `${capital(when)}, what is past its period ${words.happens(what)}.${later}`;
}

function consequences(p: Policy): string[] {
  const tables = (...fates: Policy['dependants'][number]['fate'][]) =>
    p.dependants.filter((d) => fates.includes(d.fate)).map((d) => spoken(d.table.name));
  const files = [...p.files, ...p.dependants.flatMap((d) => d.files)];
  const lines: string[] = [];
  const going = (
    strategyOf(p).grace ? tables('delete') : goingDependants(p).map((d) => spoken(d.table.name))
  ).join(', ');
  if (going !== '') lines.push(`- **What goes with it.** ${capital(going)}.`);
  for (const words of sparedInWords(p)) lines.push(`- **What stays all the same.** ${capital(words)}.`);
  if (files.some((f) => f.fate === 'delete'))
    lines.push('- **Files.** The files go too, as soon as nothing else uses them.');
  if (tables('keep', 'set-null').length > 0)
    lines.push(
      `- **What stays.** ${capital(tables('keep', 'set-null').join(', '))}: they lose the reference to it.`,
    );
  if (files.some((f) => f.fate === 'keep'))
    lines.push('- **Files that stay.** Finished files of these are never touched.');
  if (tables('block').length > 0)
    lines.push(`- **What keeps it.** While ${tables('block').join(' or ')} still refer to it, it stays.`);
  return lines;
}

function reach({ scope }: Policy): string {
  if (scope.user && scope.organization) return 'A request by a person, or for an organization, reaches it.';
  if (scope.user) return 'A request by a person reaches it.';
  if (scope.organization)
    return 'A request for an organization reaches it; one by a person does not: it does not say whose it is.';
  return 'It does not say whose it is, so no request reaches it by itself; it goes at the end of its period.';
}

const keptForEver = (t: PermanentTable): string =>
  `**${title(t.name)}.** ${t.description} ${t.justification} Ground: ${t.ground}. Nothing deletes an entry by its age; one made by mistake can be removed by a named person, on the record.`;

const capital = (text: string): string => text.replace(/^./, (c) => c.toUpperCase());

/** The forms that are common; any other as it stands. */
export function scheduleInWords(cron: string): string {
  const [minute = '', hour = '', ...days] = cron.split(' ');
  const everyDay = days.join(' ') === '* * *';
  const two = (n: string) => n.padStart(2, '0');
  if (everyDay && /^\d+$/.test(minute) && /^\d+$/.test(hour))
    return `every day at ${two(hour)}:${two(minute)}`;
  if (everyDay && /^\d+$/.test(minute) && hour === '*') return 'every hour';
  const step = /^\*\/(\d+)$/.exec(minute)?.[1];
  if (everyDay && step && hour === '*') return `every ${step} minutes`;
  return `on the schedule ${cron}`;
}
