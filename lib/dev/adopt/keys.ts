/** The key of a table, as receipts will name its rows: which columns, of which types, and whether they may name a person. */
import type { PolicyInput } from '../../policies/contract';
import type { TableFacts } from './catalog';
import { quoted, quotedTable } from './quoting';
import type { TextShape } from './sample';
import type { Survey, Surveyed } from './survey';
import { snake } from './words';

export interface Refusal {
  readonly problem: string;
  readonly remedy: string;
  /** Nothing in the table says when a row would be over. */
  readonly timeless?: true;
  /** The date of a row that it refers to, as `--clock` takes it. */
  readonly by?: string;
}

type Key = PolicyInput['key'];

export interface Chosen {
  /** The column that starts the clock; without it, the one that says most. */
  readonly clock?: string;
  /** The caller says that keys of text name no person. */
  readonly keyNamesNobody?: boolean;
  /** Dates of the rows that refer to it, which count where they are later: `messages.sent_at`. */
  readonly later?: string;
  /** What a foreign key alone would keep here goes with the row. */
  readonly along?: boolean;
  /** Triggers that may fire when rows go: of the table itself, or of one that goes along (`lines.audit`). */
  readonly knownTriggers?: readonly string[];
}

export function withoutKey(facts: TableFacts): Refusal {
  const t = quotedTable(facts);
  const add = `ALTER TABLE ${t} ADD COLUMN lapse_key bigint GENERATED ALWAYS AS IDENTITY`;
  const notNull = new Set(facts.columns.filter((c) => c.not_null).map((c) => c.name));
  // A primary key has none that may be NULL.
  const open = facts.indexes.find((i) => i.unique && !i.partial && !i.columns.includes(''))?.columns;
  if (open) {
    const set = open
      .filter((c) => !notNull.has(c))
      .map((c) => `ALTER COLUMN ${quoted(c)} SET NOT NULL`)
      .join(', ');
    const column =
      facts.kind === 'r' ? `; where rows have none, name them by a column of their own: ${add} UNIQUE;` : '';
    return {
      problem: `its only unique key (${open.join(', ')}) may be NULL: a receipt could not name such a row`,
      remedy: `ALTER TABLE ${t} ${set}${column || ';'}`,
    };
  }
  return {
    problem: 'no column that is never NULL and unique: a receipt could not name a row',
    remedy:
      facts.kind === 'r' ? `${add} PRIMARY KEY;` : 'a policy governs a table, or one that is partitioned',
  };
}

/** What refers to the table says which of its keys counts; else the primary key, else another unique one. */
export function keyColumns(survey: Survey, facts: TableFacts): string[] | null {
  const notNull = new Set(facts.columns.filter((c) => c.not_null).map((c) => c.name));
  const keys = facts.indexes
    .filter((i) => i.unique && !i.partial && i.columns.every((c) => notNull.has(c)))
    .map((i) => i.columns);
  const wanted = survey.pointingAt(facts).map((f) => [...f.to_columns].sort().join('\0'));
  const asWanted = keys.find((k) => wanted.length > 0 && wanted.every((w) => w === [...k].sort().join('\0')));
  return asWanted ?? keys[0] ?? null;
}

export function keyOf(
  table: Surveyed,
  columns: readonly string[],
  { keyNamesNobody }: Chosen,
): Key | Refusal {
  const shapes = typeof table.sample === 'object' && table.sample !== null ? table.sample.texts : null;
  const key: Key = [];
  for (const c of columns) {
    const column = table.facts.columns.find((x) => x.name === c)!;
    const isText = /^(text|character|name$|.*\bcitext$)/.test(column.plain);
    const type = /^(character|bit)$/.test(column.plain) ? column.type : column.plain;
    if (!isText) {
      key.push({ column: c, type });
      continue;
    }
    if (keyNamesNobody !== true && !isOpaque(c, shapes?.get(c))) {
      return {
        problem: `the key ${c} of ${table.label} is text and may name a person: keys stand in receipts for years`,
        remedy: `where it names no person, --key-names-nobody; else add another key: ALTER TABLE ${quotedTable(table.facts)} ADD COLUMN … uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE;`,
      };
    }
    key.push({ column: c, type, personal: false });
  }
  return key;
}

/** Of a table that was not looked into. */
export const typeOf = (from: TableFacts, column: string): Key[number] => ({
  column,
  type: from.columns.find((c) => c.name === column)!.plain,
});

/** Made by a machine. Without rows its name has to say so. */
function isOpaque(column: string, shape: TextShape | undefined): boolean {
  if (shape !== undefined && shape.values > 0) return shape.opaque === shape.values;
  return /^(id|uuid|guid|cuid|ulid|nanoid|.*_id|.*(key|hash|token|digest))$/.test(snake(column));
}

/** Prisma's `_AToB` has a unique index only where its version made it one; both columns together name a row. */
export const joinKey = (from: TableFacts): string => {
  const columns = from.columns.map((c) => c.name);
  const isJoin = columns.length === 2;
  return `ALTER TABLE ${quotedTable(from)} ADD PRIMARY KEY (${isJoin ? columns.map(quoted).join(', ') : '…'});`;
};
