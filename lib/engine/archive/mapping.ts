/**
 * Where the values of an archived row belong in the table as it is now: columns may have been added, dropped, renamed or
 * given another type since. A column is known by its number while the table is the same one, else by its name.
 */
import type { Column, Part } from '../../files/archive/manifest';
import type { TableShape } from './columns';

interface Mapped {
  /** Place among the archived values. */
  readonly from: number;
  readonly name: string;
  /** Of the column as it is now, for a cast that cuts nothing off. */
  readonly plain: string;
  /** False: the database makes it. */
  readonly isWritten: boolean;
  /** Read back, it must be what was archived. */
  readonly isCompared: boolean;
}

/** What changed since, each by name. */
export interface SchemaChanges {
  readonly table: string;
  readonly added: readonly string[];
  /** Their values stay in the archive. */
  readonly dropped: readonly string[];
  readonly renamed: Readonly<Record<string, string>>;
  readonly retyped: readonly string[];
  /** Columns that were added and must be filled: nothing can be restored into such a table. */
  readonly required: readonly string[];
}

export interface Mapping {
  readonly columns: readonly Mapped[];
  readonly changes: SchemaChanges;
}

export function mappingOf(part: Part, shape: TableShape): Mapping {
  const isSame = part.oid !== undefined && part.oid === shape.oid;
  const numbers = new Set(part.columns.map((c) => c.number));
  const now = (archived: Column) =>
    (isSame && shape.columns.find((c) => c.number === archived.number)) ||
    shape.columns.find((c) => c.name === archived.name && !(isSame && numbers.has(c.number)));
  const pairs = part.columns.map((archived, from) => ({ archived, from, column: now(archived) }));
  const found = pairs.flatMap(({ archived, from, column }) => (column ? [{ archived, from, column }] : []));
  const added = shape.columns.filter((c) => !found.some((f) => f.column.number === c.number));
  return {
    columns: found.map(({ archived, from, column }) => ({
      from,
      name: column.name,
      plain: column.plain,
      isWritten: !column.generated,
      isCompared: !column.generated && withoutLength(archived.type) === withoutLength(column.type),
    })),
    changes: {
      table: part.table,
      added: added.map((c) => c.name),
      dropped: pairs.filter((p) => !p.column).map((p) => p.archived.name),
      renamed: Object.fromEntries(
        found.filter((f) => f.archived.name !== f.column.name).map((f) => [f.archived.name, f.column.name]),
      ),
      retyped: found.filter((f) => f.archived.type !== f.column.type).map((f) => f.column.name),
      required: added.filter((c) => c.required && !c.generated).map((c) => c.name),
    },
  };
}

const withoutLength = (type: string): string => type.replace(/\(\d+(,\d+)?\)/, '');

export const hasChanged = ({ added, dropped, renamed, retyped }: SchemaChanges): boolean =>
  added.length + dropped.length + retyped.length + Object.keys(renamed).length > 0;
