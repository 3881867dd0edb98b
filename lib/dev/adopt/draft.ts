/**
 * A policy as far as the catalog can say it: table, key, clock, subjects, what refers to the rows and what the schema
 * itself does with that. Period, reason and ground are a person's. Whether it holds is asked of the engine's preflight.
 */
import type { PolicyInput } from '../../policies/contract';
import { inOrderOf } from '../../policies/hanging';
import type { ForeignKey, TableFacts } from './catalog';
import type { Clock } from './clocks';
import { byRows, declaredAs, isMadeToPass, withFallback } from './clocks';
import { clockAbove, clocksBelow, suggestedAbove, suggestedBelow } from './clocks-around';
import { namesManyTables } from './conventions';
import { type Chosen, joinKey, keyColumns, keyOf, type Refusal, typeOf, withoutKey } from './keys';
import { mayRefer } from './may-refer';
import { quotedTable } from './quoting';
import type { Survey, Surveyed } from './survey';
import { snake } from './words';

export interface Draft {
  readonly clock: Clock;
  /** With a placeholder for what is a person's. */
  readonly input: PolicyInput;
  /** What a person should know before saying a period. */
  readonly notes: readonly string[];
}

/** What stands in a draft until a person has said it; never written to a file. */
const UNSAID = 'not said yet: npm run adopt asks for it';
/** Only to ask whether the engine would take it. */
const SOME_DAYS = 365;

export function draftOf(survey: Survey, table: Surveyed, chosenBy: Chosen = {}): Draft | Refusal {
  const { facts } = table;
  const { clock } = chosenBy;
  const chosen = clockFor(survey, table, clock);
  if (chosen === undefined) return withoutClock(survey, table, clock);
  if ('problem' in chosen) return chosen;
  const columns = keyColumns(survey, facts);
  if (columns === null) return withoutKey(facts);
  const key = keyOf(table, columns, chosenBy);
  if ('problem' in key) return key;
  const parts = [dependantsOf(survey, facts, columns, chosenBy), filesOf(table)];
  const later = chosenBy.later === undefined ? [] : clocksBelow(survey, facts, columns, chosenBy.later);
  if ('problem' in later) return later;
  const refused = parts.find((p) => 'problem' in p);
  if (refused) return refused as Refusal;
  const [dependants, files] = parts as [
    NonNullable<PolicyInput['dependants']>,
    NonNullable<PolicyInput['files']>,
  ];
  const partitioned = partitionedBy(facts, chosen);
  return {
    clock: chosen,
    input: {
      name: policyName(facts),
      description: `Rows of ${table.label}, some time after ${chosen.column}.`,
      justification: UNSAID,
      ground: UNSAID,
      schedule: { run: '0 3 * * *' },
      table: facts.schema === 'public' ? { name: facts.name } : { schema: facts.schema, name: facts.name },
      key,
      clock: { ...declaredAs(chosen), ...(later.length > 0 ? { orLaterIn: later } : {}) },
      rules: [{ label: 'all', keepFor: { seconds: SOME_DAYS * 86_400 } }],
      ...(partitioned ? { partitioned } : {}),
      ...(Object.keys(table.subjects).length > 0 ? { scope: table.subjects } : {}),
      ...(dependants.length > 0 ? { dependants: dependants.map((d) => withTriggers(d, chosenBy)) } : {}),
      ...knownTriggers(chosenBy, dependants),
      ...(files.length > 0 ? { files } : {}),
      ...qualityOf(chosen),
    },
    notes: [
      ...notesOf(table, chosen),
      ...(later.length > 0 ? [] : youngerBelow(survey, facts, chosen)),
      ...mayRefer(survey, facts, columns),
      ...unclearSubjects(table),
    ],
  };
}

/** Does the clock itself say that a row is over? Everything else is for a person to judge. */
export const isProposal = (table: Surveyed, { meaning }: Clock): boolean => {
  if (meaning === 'deleted') return true;
  if (!isMadeToPass(table.facts.name)) return false;
  return (
    meaning === 'expires' ||
    meaning === 'ended' ||
    (table.status.length === 0 && /^(happened|made)$/.test(meaning))
  );
};

/** A date of its own, the first or the one that is asked for; else a number or a text that the rows show to be one; else another table's. */
function clockFor(survey: Survey, table: Surveyed, wanted?: string): Clock | Refusal | undefined {
  const own = [...table.clocks, ...byRows(table)];
  const found = wanted === undefined ? own[0] : own.find((c) => c.column === wanted);
  if (found) return withFallback(found, table);
  return wanted === undefined ? undefined : clockAbove(survey, table.facts, wanted);
}

/** What goes with a row may be younger than it: only a clock that says that the row is over is not asked for more. */
function youngerBelow(survey: Survey, facts: TableFacts, { meaning }: Clock): string[] {
  if (/^(deleted|expires|ended)$/.test(meaning) || facts.partitioned) return [];
  const found = suggestedBelow(survey, facts);
  return found.length === 0
    ? []
    : [`rows that go along may be younger: --later ${found.join(',')} counts from the last of them`];
}

function withoutClock(survey: Survey, table: Surveyed, wanted?: string): Refusal {
  const { facts } = table;
  const own = [...table.clocks, ...byRows(table)].map((c) => c.column);
  const there = suggestedAbove(survey, facts);
  if (wanted !== undefined) {
    const all = [...own, ...there];
    return {
      problem: `${wanted} is no column that could start a clock`,
      remedy: all.length > 0 ? `name one of ${all.join(', ')}` : 'the table has none',
    };
  }
  const add = `ALTER TABLE ${quotedTable(facts)} ADD COLUMN created_at timestamptz NOT NULL DEFAULT now();`;
  return {
    timeless: true,
    problem: 'no column says when a row was made or over',
    remedy: `where its rows belong to another table, they go with that${there.length > 0 ? `, or by its date: --clock ${there.join(' or ')}` : ''}; else ${add}`,
    ...(there[0] === undefined ? {} : { by: there[0] }),
  };
}

const FATES: Record<ForeignKey['on_delete'], Fate> = {
  ...{ c: 'delete', n: 'keep', d: 'keep', a: 'block', r: 'block' },
};

type Declared = NonNullable<PolicyInput['dependants']>[number];
type Fate = Declared['fate'];

/** Of a reference of a table to itself the batch takes the name out: by its foreign key a row that goes would change on the way. */
function fateOf(f: ForeignKey, { along }: Chosen): Fate {
  if (f.from === f.to && f.on_delete === 'n') return 'set-null';
  const fate = FATES[f.on_delete];
  return along && fate === 'block' ? 'delete' : fate;
}

/** A table whose rows go, and the columns by which it is known to go. */
interface Going {
  readonly facts: TableFacts;
  readonly key: readonly string[];
}

/**
 * What refers to its rows, and what its foreign key does with that; also what refers to rows that go along, at any depth; by
 * the roots of partitions, each once.
 */
function dependantsOf(
  survey: Survey,
  facts: TableFacts,
  key: readonly string[],
  chosen: Chosen,
): Declared[] | Refusal {
  const found = new Map<string, Declared>();
  const going: Going[] = [{ facts, key }];
  for (const parent of going) {
    for (const f of survey.pointingAt(parent.facts)) {
      const from = survey.named(f.from);
      if (from === undefined) continue;
      const own = namesOf(survey, from, chosen);
      if ('problem' in own) return own;
      const fate = fateOf(f, chosen);
      const hangs = hanging(f, parent, parent.facts === facts);
      found.set(`${f.from}\0${JSON.stringify(hangs)}\0${fate}`, {
        table: nameOf(from),
        key: own,
        ...hangs,
        fate,
      });
      const isNew = !going.some((g) => g.facts === from);
      if (fate === 'delete' && isNew) going.push({ facts: from, key: own.map((k) => k.column) });
    }
  }
  return [...found.values()];
}

/** `lines.audit` is a trigger of the dependant `lines`. */
const ofTable = (trigger: string, { table: { schema, name } }: Declared): string | undefined =>
  [`${schema ?? 'public'}.${name}.`, ...(schema === undefined ? [`${name}.`] : [])]
    .filter((prefix) => trigger.startsWith(prefix))
    .map((prefix) => trigger.slice(prefix.length))[0];

function withTriggers(dependant: Declared, { knownTriggers: known = [] }: Chosen): Declared {
  const own = known.flatMap((trigger) => ofTable(trigger, dependant) ?? []);
  return own.length > 0 ? { ...dependant, knownTriggers: own } : dependant;
}

function knownTriggers(
  { knownTriggers: known = [] }: Chosen,
  dependants: readonly Declared[],
): Pick<PolicyInput, 'knownTriggers'> {
  const own = known.filter((trigger) => dependants.every((d) => ofTable(trigger, d) === undefined));
  return own.length > 0 ? { knownTriggers: own } : {};
}

const nameOf = ({ schema, name }: TableFacts): Declared['table'] =>
  schema === 'public' ? { name } : { schema, name };

/** Its key as a receipt would name its rows. */
function namesOf(survey: Survey, from: TableFacts, chosen: Chosen): Declared['key'] | Refusal {
  const own = keyColumns(survey, from);
  if (own === null) {
    return {
      problem: `${from.schema}.${from.name} refers to it and has no key of its own: a receipt could not name its rows`,
      remedy: joinKey(from),
    };
  }
  const surveyed = survey.tables.find((t) => t.facts === from);
  return surveyed ? keyOf(surveyed, own, chosen) : own.map((c) => typeOf(from, c));
}

/** By the parent's key in its order, or by the unique columns that it refers to instead. */
function hanging(
  f: ForeignKey,
  { facts, key }: Going,
  isGoverned: boolean,
): Pick<Declared, 'via' | 'references' | 'refersTo'> {
  const ordered = inOrderOf(key, f);
  return {
    ...(isGoverned ? {} : { via: nameOf(facts) }),
    ...(ordered ? { references: [...ordered] } : { references: [...f.columns], refersTo: [...f.to_columns] }),
  };
}

/** Files that stayed behind their rows would be orphaned. */
function filesOf({ files, facts }: Surveyed): NonNullable<PolicyInput['files']> | Refusal {
  const found: NonNullable<PolicyInput['files']> = [];
  for (const f of files.filter((x) => x.where === 'store')) {
    if (f.folder === null) {
      return {
        problem: `${f.column} names files of the store that lie in no one folder: they would be orphaned`,
        remedy: 'move them below one folder, or declare the column in `files` of a policy written by hand',
      };
    }
    const bytes = facts.columns.find(
      (c) => /^(size|bytes|.*_(bytes|size))$/.test(snake(c.name)) && c.plain === 'bigint',
    );
    found.push({
      column: f.column,
      ...(bytes ? { bytes: bytes.name } : {}),
      fate: 'delete',
      prefix: f.folder,
      ...(f.suffixed ? { suffixed: true } : {}),
    });
  }
  return found;
}

const SPANS = [
  ['day', 1.1],
  ['week', 7.1],
  ['month', 31.1],
  ['quarter', 92.1],
  ['year', 366.1],
] as const;

/** By range of the clock alone partitions go whole; of any other the rows go one by one. */
function partitionedBy({ partitioned: p }: TableFacts, clock: Clock): PolicyInput['partitioned'] {
  if (p === null) return undefined;
  if (p.strategy !== 'r' || p.columns.join() !== clock.column || /^(epoch|iso)$/.test(clock.type))
    return { by: 'other' };
  const by = SPANS.find(([, most]) => (p.longest_days ?? 31) <= most)?.[0];
  return by && { by };
}

/** A clock that is empty until the row is over is no fault of the data. */
function qualityOf(clock: Clock): Pick<PolicyInput, 'quality'> {
  const quality = {
    ...(clock.nullable && clock.otherwise === undefined ? { emptyClocks: null } : {}),
  };
  return Object.keys(quality).length > 0 ? { quality } : {};
}

function notesOf(table: Surveyed, clock: Clock): string[] {
  const lying = (where: string) => table.files.filter((f) => f.where === where).map((f) => f.column);
  const [elsewhere, paths] = [lying('elsewhere'), lying('path')];
  return [
    ...(/^(timestamp|date)$/.test(clock.type) ? ['its clock has no time zone, and is read as UTC'] : []),
    ...(clock.otherwise ? [`where ${clock.column} is empty, ${clock.otherwise} counts`] : []),
    ...(clock.in ? [`each run looks at every row of it: the date is that of ${clock.in.table.name}`] : []),
    ...(table.status.length > 0 && !/^(deleted|ended)$/.test(clock.meaning)
      ? [
          `rows of every ${table.status.map((c) => withLabels(table.facts, c)).join(', ')} would go: --where says which`,
        ]
      : []),
    ...(elsewhere.length > 0
      ? [`files that ${elsewhere.join(', ')} names are not in Vercel Blob: they stay`]
      : []),
    ...(paths.length > 0
      ? [
          `files that ${paths.join(', ')} names stay, and outlive their rows: where they lie in Vercel Blob, add them to files of the policy`,
        ]
      : []),
  ];
}

/** What might have been the scope, and is left to a person. */
function unclearSubjects({ facts, personal, subjects }: Surveyed): string[] {
  const found = personal.map((p) => p.column).filter((c) => namesManyTables(facts, c));
  return found.length === 0 || subjects.user !== undefined
    ? []
    : [
        `${found.join(', ')} names rows of several tables, so no hold or erasure of a user finds rows by it; where it names users alone, add scope: { user: '${found[0]}' }`,
      ];
}

/** The labels of an enum are part of the schema. */
function withLabels(facts: TableFacts, column: string): string {
  const labels = facts.columns.find((c) => c.name === column)?.labels;
  return labels ? `${column} (${labels.join(', ')})` : column;
}

/** Its route and file. */
const policyName = ({ schema, name }: Pick<TableFacts, 'schema' | 'name'>): string => {
  const words = snake(schema === 'public' ? name : `${schema}_${name}`).replaceAll('_', '-');
  return /^[a-z]/.test(words) ? words : `t-${words}`;
};
