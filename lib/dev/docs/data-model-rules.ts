/**
 * What every table, column and index of schema `retention` has to say about itself (docs/DATA-MODEL.md). Each problem is the
 * line to add, to the migration that made the thing.
 */
import type { Column, Index, Table } from './catalog';
import { CLASSES, HANDLINGS, KEPT, type Marks, readMarks } from './marks';

/** Types that can hold what a person wrote, a name or a key. */
const HOLDS_TEXT = /^(text|character|name|json|bytea|uuid\[\]|xml|inet)/;

export function problemsOf(tables: readonly Table[]): string[] {
  return tables.flatMap((table) => [
    ...problemsOfTable(table),
    ...table.columns.flatMap((column) => problemsOfColumn(table, column)),
    ...table.indexes.flatMap((index) => problemsOfIndex(index)),
    ...problemsOfTimes(table),
  ]);
}

const oneOf = (words: object): string => Object.keys(words).join(' | ');

function problemsOfTable(table: Table): string[] {
  const { name, comment } = table;
  const marks = readMarks(comment);
  const line = `comment on table retention.${name} is '${marks.text || 'What a row of it is.'} [internal; kept: current]'; -- or ${oneOf(CLASSES)}; kept: ${oneOf(KEPT)}`;
  if (!marks.text || !marks.class || marks.kept.length === 0) return [line];
  return [...unreadable(name, marks), ...problemsOfSecrets(table, marks)];
}

const problemsOfSecrets = ({ name, appMayRead }: Table, marks: Marks): string[] =>
  marks.class === 'restricted' && appMayRead
    ? [`revoke select on retention.${name} from lapse_app; -- it says that it is restricted`]
    : [];

function problemsOfColumn(table: Table, { name, type, comment }: Column): string[] {
  const marks = readMarks(comment);
  const decides = HOLDS_TEXT.test(type);
  const personal = `[confidential; personal: <what>; handling: ${oneOf(HANDLINGS)}]`;
  const line = `comment on column retention.${table.name}.${name} is '${marks.text || 'What it says.'} [internal]'; -- or ${
    decides ? `where it can hold personal data, ${personal}` : oneOf(CLASSES)
  }`;
  if (!marks.text || (decides && !marks.class)) return [line];
  if ((marks.personal === null) !== (marks.handling === null)) return [line];
  return unreadable(`${table.name}.${name}`, marks);
}

const unreadable = (what: string, { unknown }: Marks): string[] =>
  unknown.map((word) => `the comment of retention.${what} says "${word}", which has no meaning here`);

/** What a primary key is for, it says itself. */
const problemsOfIndex = ({ name, primary, comment }: Index): string[] =>
  primary || comment
    ? []
    : [`comment on index retention.${name} is 'What asks it, or what it keeps unique.';`];

/** A row that is never changed says once when it was written; any other also when it last changed. */
function problemsOfTimes(table: Table): string[] {
  const { appendOnly, kept } = readMarks(table.comment);
  if (kept.includes('transaction')) return [];
  if (appendOnly) {
    return [
      ...(table.columns.some((c) => c.type === 'timestamp with time zone' && !c.nullable)
        ? []
        : [`alter table retention.${table.name} add column created_at timestamptz not null default now();`]),
      ...(table.appMayUpdate
        ? [`revoke update on retention.${table.name} from lapse_app; -- it says that it is append-only`]
        : []),
    ];
  }
  const missing = ['created_at', 'updated_at'].filter((name) => !table.columns.some((c) => c.name === name));
  return [
    ...missing.map(
      (name) => `alter table retention.${table.name} add column ${name} timestamptz not null default now();`,
    ),
    ...(table.triggers.includes('lapse_touch')
      ? []
      : [
          `create trigger lapse_touch before update on retention.${table.name} for each row execute function retention.touch();`,
        ]),
  ];
}
