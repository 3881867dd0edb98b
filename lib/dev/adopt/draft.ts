/**
 * A policy as far as the catalog can say it: table, key, clock, subjects, what refers to the rows and what the schema
 * itself does with that. Period, reason and ground are a person's. Whether it holds is asked of the engine's preflight.
 */
import type { PolicyInput } from '../../policies/contract';
import { inOrderOf } from '../../policies/hanging';
import type { ForeignKey, TableFacts } from './catalog';
import type { Clock } from './clocks';
import { epochClock, isMadeToPass } from './clocks';
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
  const chosen =
    (clock === undefined ? table.clocks[0] : table.clocks.find((c) => c.column === clock)) ??
    byNumber(table, clock);
  if (chosen === undefined) return withoutClock(table, clock);
  const columns = keyColumns(survey, facts);
  if (columns === null) return withoutKey(facts);
  const key = keyOf(table, columns, chosenBy);
  if ('problem' in key) return key;
  const parts = [dependantsOf(survey, facts, columns, chosenBy), filesOf(table)];
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
      clock: clockOf(chosen),
      rules: [{ label: 'all', keepFor: { seconds: SOME_DAYS * 86_400 } }],
      ...(partitioned ? { partitioned } : {}),
      ...(Object.keys(table.subjects).length > 0 ? { scope: table.subjects } : {}),
      ...(dependants.length > 0 ? { dependants } : {}),
      ...(files.length > 0 ? { files } : {}),
      ...qualityOf(chosen),
    },
    notes: [...notesOf(table, chosen), ...mayRefer(survey, facts, columns)],
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

/** A number since 1970, where the rows show that it is one, and no other clock is there or asked for. */
function byNumber({ facts, epochs, sample }: Surveyed, wanted?: string): Clock | undefined {
  const found = typeof sample === 'object' && sample !== null ? sample.epochs : new Map<string, null>();
  const epoch = epochs.find((e) => found.get(e.column) && (wanted === undefined || e.column === wanted));
  return epoch && epochClock(facts, epoch.column, found.get(epoch.column));
}

function clockOf({ column, type, epoch, meaning }: Clock): PolicyInput['clock'] {
  const ahead = meaning === 'expires' ? { ahead: true as const } : {};
  if (type !== 'epoch') return { column, type, ...ahead };
  return { column, type, unit: epoch!.unit, ...(epoch!.numeric ? { numeric: true as const } : {}), ...ahead };
}

function withoutClock({ facts, clocks }: Surveyed, wanted?: string): Refusal {
  if (wanted !== undefined) {
    return {
      problem: `${wanted} is no column that could start a clock`,
      remedy:
        clocks.length > 0 ? `name one of ${clocks.map((c) => c.column).join(', ')}` : 'the table has none',
    };
  }
  return {
    timeless: true,
    problem: 'no column says when a row was made or over',
    remedy: `where its rows belong to another table, they go with that; else ALTER TABLE ${quotedTable(facts)} ADD COLUMN created_at timestamptz NOT NULL DEFAULT now();`,
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
  if (p.strategy !== 'r' || p.columns.join() !== clock.column || clock.type === 'epoch')
    return { by: 'other' };
  const by = SPANS.find(([, most]) => (p.longest_days ?? 31) <= most)?.[0];
  return by && { by };
}

/** A clock that is empty until the row is over is no fault of the data. */
function qualityOf(clock: Clock): Pick<PolicyInput, 'quality'> {
  const quality = {
    ...(clock.nullable ? { emptyClocks: null } : {}),
  };
  return Object.keys(quality).length > 0 ? { quality } : {};
}

function notesOf(table: Surveyed, clock: Clock): string[] {
  const elsewhere = table.files.filter((f) => f.where === 'elsewhere').map((f) => f.column);
  return [
    ...(clock.type === 'timestamptz' || clock.type === 'epoch'
      ? []
      : ['its clock has no time zone, and is read as UTC']),
    ...(table.status.length > 0 && !/^(deleted|ended)$/.test(clock.meaning)
      ? [
          `rows of every ${table.status.map((c) => withLabels(table.facts, c)).join(', ')} would go: --where says which`,
        ]
      : []),
    ...(elsewhere.length > 0
      ? [`files that ${elsewhere.join(', ')} names are not in Vercel Blob: they stay`]
      : []),
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
