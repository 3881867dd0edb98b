/**
 * A random schema as data: tables, their keys and references, what lies in them, and who may not lose it. Made by
 * generate.ts, written as SQL by written.ts; the oracle reads none of it, but the database itself.
 */
import type { PolicyInput } from '../../../policies/contract';
import type { Counting } from './times';

export type Action = 'cascade' | 'no action' | 'restrict' | 'set null' | 'set default';

export interface Column {
  readonly name: string;
  readonly type: string;
  readonly notNull: boolean;
  /** After its type, as PostgreSQL takes it. */
  readonly more?: string;
}

export interface Link {
  readonly name: string;
  readonly from: number;
  readonly to: number;
  readonly columns: readonly string[];
  readonly targets: readonly string[];
  readonly action: Action;
  readonly deferrable: boolean;
  /** No foreign key says so. */
  readonly soft: boolean;
  readonly indexed: boolean;
}

/** `watches` changes nothing, `keeps` keeps every fourth row in silence, `deletes` takes another row along. */
export interface Trigger {
  readonly name: string;
  readonly kind: 'watches' | 'keeps' | 'deletes';
}

export interface Partitions {
  /** Behind `partition by`. */
  readonly by: string;
  /** By range of the clock alone: partitions may be dropped whole. */
  readonly isByClock: boolean;
  /** Statements that make them. */
  readonly parts: readonly string[];
}

export type Clock = Counting & {
  readonly column: string;
  /** A second column of the same kind, and which of the two counts. */
  readonly second?: { readonly column: string; readonly counts: 'otherwise' | 'orLater' };
  /** An expiry: its row goes once it has come. */
  readonly ahead?: true;
  /** It is a column of the row that these columns refer to. */
  readonly in?: {
    readonly table: { readonly schema: string; readonly name: string };
    readonly references: readonly string[];
    readonly key: readonly string[];
  };
};

export interface ShapeTable {
  readonly schema: string;
  readonly name: string;
  readonly columns: readonly Column[];
  /** What a developer would name its rows by. */
  readonly key: readonly string[];
  /** `index`: a unique index over columns that are not null, without a primary key. */
  readonly keyKind: 'primary' | 'index';
  readonly uniques: readonly (readonly string[])[];
  readonly partitions: Partitions | null;
  readonly clock: Clock | null;
  readonly organization: string | null;
  readonly person: string | null;
  readonly file: string | null;
  readonly bytes: string | null;
  readonly trigger: Trigger | null;
  /** Grants, guards and indexes a developer may have forgotten. */
  readonly granted: boolean;
  readonly guarded: boolean;
  readonly fileIndexed: boolean;
  readonly rows: readonly Row[];
}

/** Values as PostgreSQL reads them; a column that is left out gets its default. */
export type Row = Readonly<Record<string, string | null>>;

export interface Shape {
  readonly seed: number;
  readonly number: number;
  /** Schemas beside `public`, types, functions. */
  readonly before: readonly string[];
  /** The governed one first. */
  readonly tables: readonly ShapeTable[];
  readonly links: readonly Link[];
  /** Holds, extensions, dead letters, indexes and what else is done after the rows are there. */
  readonly after: readonly string[];
  /** The policy as a developer would write it. */
  readonly policy: PolicyInput;
  /** Why no policy can ever govern it; null where one can. */
  readonly never: 'view' | 'inheritance' | 'row security' | null;
  /** What the developer did wrong, for the reader of a replay. */
  readonly mistakes: readonly string[];
  /** Rows a batch begins with; null: as many as it likes. */
  readonly batchSize: number | null;
  /** Others insert children and move clocks while it runs. */
  readonly disturbed: boolean;
}

export const quoted = (identifier: string): string => `"${identifier.replaceAll('"', '""')}"`;
export const listed = (columns: readonly string[]): string => columns.map(quoted).join(', ');
export const literal = (value: string | null): string =>
  value === null ? 'null' : `'${value.replaceAll("'", "''")}'`;
export const tableOf = (t: Pick<ShapeTable, 'schema' | 'name'>): string =>
  `${quoted(t.schema)}.${quoted(t.name)}`;
export const labelOf = (t: Pick<ShapeTable, 'schema' | 'name'>): string => `${t.schema}.${t.name}`;
