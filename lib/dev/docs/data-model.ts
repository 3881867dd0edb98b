/** docs/DATA-MODEL.md, written from the catalog of a migrated database: the same catalog gives the same text. */
import type { Column, Table } from './catalog';
import { CLASSES, HANDLINGS, KEPT, readMarks } from './marks';

const HEAD = `# The data model

Everything Lapse keeps is in schema \`retention\` of your database. This file is what that schema says about itself: the comments of
its tables, columns and indexes, and its constraints. It is made by \`npm run docs:data-model\` from a migrated database, never by
hand; a test fails when the two differ, and when a new table, column or index does not say what it is for.

Your own tables are not here: Lapse changes none of them. What leaves the database is in [DATA-FLOW.md](DATA-FLOW.md).`;

export function dataModel(tables: readonly Table[]): string {
  return `${[
    HEAD,
    '## How to read it',
    'The comment of a table or column ends in brackets. They are shown here as columns of the tables below.',
    glossary('Class', CLASSES),
    'A column has the class of its table unless it says another. Where a column can hold personal data, it says how that is handled:',
    glossary('Handling', HANDLINGS),
    'How long the rows of a table are kept:',
    glossary('Kept', keptBy(tables)),
    'Periods come from [periods.ts](../lib/operators/records/periods.ts); the database keeps no record shorter than the functions of [records.sql](../lib/migrations/functions/records.sql) allow. Tables whose rows are never changed are **append-only**: the role of the app may not update them.',
    '## Diagram',
    `Keys and references only. A line ends in a fork where many rows may refer to one.\n\n${diagram(tables)}`,
    '## Tables',
    overview(tables),
    '## Personal data',
    'Every column that can hold personal data. Lapse holds no names, addresses or contents of your rows: ids, keys and names of files, and what operators write.',
    inventory(tables),
    ...tables.map(section),
  ].join('\n\n')}\n`;
}

const row = (...cells: readonly string[]): string =>
  `| ${cells.map((c) => c.replaceAll('|', '\\|')).join(' | ')} |`;
const sheet = (head: readonly string[], rows: readonly string[][]): string =>
  [row(...head), `|${'---|'.repeat(head.length)}`, ...rows.map((r) => row(...r))].join('\n');

const glossary = (what: string, words: Readonly<Record<string, string>>): string =>
  sheet(
    [what, 'Meaning'],
    Object.entries(words).map(([word, meaning]) => [`\`${word}\``, meaning]),
  );

const keptBy = (tables: readonly Table[]): Record<string, string> => {
  const used = new Set(tables.flatMap((t) => readMarks(t.comment).kept));
  return Object.fromEntries(Object.entries(KEPT).filter(([word]) => used.has(word)));
};

function overview(tables: readonly Table[]): string {
  return sheet(
    ['Table', 'What it holds', 'Class', 'Personal data', 'Kept'],
    tables.map((t) => {
      const { text, class: named, kept, appendOnly } = readMarks(t.comment);
      const personal = t.columns
        .filter((c) => readMarks(c.comment).personal !== null)
        .map((c) => `\`${c.name}\``);
      return [
        `[${t.name}](#${t.name})`,
        `${text}${appendOnly && !/append-only/i.test(text) ? ' Append-only.' : ''}`,
        named ?? '',
        personal.join(', '),
        kept.map((k) => `\`${k}\``).join(', '),
      ];
    }),
  );
}

function inventory(tables: readonly Table[]): string {
  return sheet(
    ['Column', 'What', 'Handling', 'Kept'],
    tables.flatMap((t) =>
      t.columns.flatMap((c) => {
        const { personal, handling } = readMarks(c.comment);
        return personal === null
          ? []
          : [
              [
                `\`${t.name}.${c.name}\``,
                personal,
                handling ?? '',
                readMarks(t.comment)
                  .kept.map((k) => `\`${k}\``)
                  .join(', '),
              ],
            ];
      }),
    ),
  );
}

function section(table: Table): string {
  const { text, class: named, kept } = readMarks(table.comment);
  const references = table.foreignKeys.map((f) => `- ${f.definition.replaceAll('retention.', '')}`);
  const checks = table.checks.map((c) => `- \`${c.name}\`: \`${c.definition}\``);
  return [
    `### ${table.name}`,
    `${text} Class \`${named}\`, kept \`${kept.join('`, `')}\`.`,
    sheet(
      ['Column', 'Type', 'Null', 'Default', 'Class', 'Meaning'],
      table.columns.map((c) => [
        `\`${c.name}\``,
        shortType(c.type),
        c.nullable ? 'yes' : '',
        c.value === null ? '' : `\`${c.value}\``,
        classOf(c, named ?? ''),
        readMarks(c.comment).text,
      ]),
    ),
    ...(table.indexes.length > 0
      ? [
          sheet(
            ['Index', 'On', 'What for'],
            table.indexes.map((i) => [
              `\`${i.name}\`${i.unique ? ' (unique)' : ''}`,
              `\`${i.how}\``,
              i.comment ?? 'Primary key.',
            ]),
          ),
        ]
      : []),
    ...(references.length > 0 ? [`Refers to other tables:\n\n${references.join('\n')}`] : []),
    ...(checks.length > 0 ? [`The database refuses whatever does not meet:\n\n${checks.join('\n')}`] : []),
  ].join('\n\n');
}

function classOf(column: Column, ofTable: string): string {
  const { class: named, personal } = readMarks(column.comment);
  return `${named ?? ofTable}${personal === null ? '' : ', personal'}`;
}

const shortType = (type: string): string =>
  type.replace('timestamp with time zone', 'timestamptz').replace('double precision', 'float8');

/** Mermaid's own notation: one entity a table, one line a foreign key. */
function diagram(tables: readonly Table[]): string {
  const entities = tables.map((t) => {
    const primary = t.indexes.find((i) => i.primary)?.columns ?? [];
    const lines = t.columns.flatMap((c) => {
      const keys = [
        primary.includes(c.name) && 'PK',
        t.foreignKeys.some((f) => f.columns.includes(c.name)) && 'FK',
        t.indexes.some(
          (i) =>
            i.unique &&
            !i.primary &&
            !/ WHERE /.test(i.how) &&
            i.columns.length === 1 &&
            i.columns[0] === c.name,
        ) && 'UK',
      ].filter((key) => typeof key === 'string');
      return keys.length > 0
        ? [`    ${shortType(c.type).replaceAll(' ', '_')} ${c.name} ${keys.join(', ')}`]
        : [];
    });
    return lines.length > 0 ? `  ${t.name} {\n${lines.join('\n')}\n  }` : `  ${t.name}`;
  });
  const lines = tables.flatMap((t) =>
    t.foreignKeys.map((f) => {
      const optional = t.columns.some((c) => f.columns.includes(c.name) && c.nullable);
      const once = t.indexes.some((i) => i.unique && i.columns.join() === f.columns.join());
      return `  ${f.table} ${optional ? '|o' : '||'}--${once ? 'o|' : 'o{'} ${t.name} : ${f.columns.join('_')}`;
    }),
  );
  return ['```mermaid', 'erDiagram', ...entities, ...lines, '```'].join('\n');
}
