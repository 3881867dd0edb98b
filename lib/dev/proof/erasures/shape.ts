/**
 * A random schema for erasures, as data: tables, what refers to what, what lies in them, the data map and the policies as a
 * developer would write them, and whose erasure is asked for. Made by generate.ts, written as SQL by written.ts; the oracle
 * reads the database and the map, and nothing of this.
 */
import type { PolicyInput } from '../../../policies/contract';
import type { DataMapInput } from '../../../policies/data-map-contract';
import type { Action, Row } from '../shapes/shape';

export interface Column {
  readonly name: string;
  readonly type: string;
  readonly notNull: boolean;
}

export interface Reference {
  readonly name: string;
  readonly columns: readonly string[];
  readonly to: { readonly schema: string; readonly name: string };
  readonly targets: readonly string[];
  readonly action: Action;
}

export interface ErasureTable {
  readonly schema: string;
  readonly name: string;
  readonly columns: readonly Column[];
  readonly key: readonly string[];
  readonly references: readonly Reference[];
  readonly partitions: readonly string[];
  readonly partitionedBy: string | null;
  readonly file: string | null;
  /** What a developer may have forgotten. */
  readonly granted: boolean;
  readonly guarded: boolean;
  readonly rows: readonly Row[];
}

export interface ErasureShape {
  readonly seed: number;
  readonly number: number;
  readonly schemas: readonly string[];
  readonly tables: readonly ErasureTable[];
  readonly map: DataMapInput;
  readonly policies: readonly PolicyInput[];
  readonly scope: 'user' | 'organization';
  readonly subject: string;
  /** Holds. */
  readonly after: readonly string[];
  /** In the store before the erasure. */
  readonly files: readonly string[];
  /** What it has in it, for the last lines. */
  readonly kinds: readonly Kind[];
}

export const KINDS = [
  'a composite key',
  'a reference to itself',
  'a circle of tables',
  'a mask',
  'something retained',
  'a detached reference',
  'an identifier',
  'a hold',
  'files',
  'a folder of the subject',
  'partitions',
  'a policy',
  'names that are quoted',
  'an organization',
] as const;
export type Kind = (typeof KINDS)[number];
