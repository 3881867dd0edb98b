/** Tables while they are being made: their keys, what they refer to, and the line of the data map that grows with them. */
import type { TableInput } from '../../../policies/data-map-contract';
import type { Rolls } from '../shapes/rolls';
import type { Action, Row } from '../shapes/shape';
import { Names, type TypeName, typeOf, type ValueType } from '../shapes/values';
import type { Column, Reference } from './shape';

/** What an erasure does with a table's rows; `none`: the map has a decision, and no column with a handling. */
export type Fate = 'delete' | 'mask' | 'retain' | 'none';
export type Handling = 'delete' | 'mask' | 'retain' | 'detach' | 'bare';

export interface DraftReference {
  readonly name: string;
  readonly columns: readonly string[];
  readonly to: Draft;
  readonly action: Action;
  readonly handling: Handling;
}

/** How rows name a subject without a foreign key. */
export interface DraftMention {
  readonly column: string;
  readonly type: 'same' | 'text' | 'jsonb';
  readonly path?: string;
  /** `user`, `organization`, or the column of an identifier. */
  readonly is: string;
}

export class Draft {
  readonly columns: Column[] = [];
  readonly names: Names;
  readonly key: string[] = [];
  /** Of the key's columns. */
  readonly types = new Map<string, ValueType>();
  readonly references: DraftReference[] = [];
  readonly mentions: DraftMention[] = [];
  readonly handled: Record<'delete' | 'detach', string[]> & {
    mask: Record<string, null | 'hash' | { constant: string }>;
    retain: string[];
  } = { delete: [], detach: [], mask: {}, retain: [] };
  readonly impersonal: string[] = [];
  /** Columns of texts, by which data is told apart. */
  readonly texts: string[] = [];
  retainUntil: 'removal' | { days: number; after: string } = 'removal';
  subject: 'user' | 'organization' | null = null;
  policy: string | null = null;
  file: string | null = null;
  clock: string | null = null;
  partitionedBy: string | null = null;
  partitions: string[] = [];
  granted = true;
  guarded = true;
  rows: Row[] = [];
  /** May hold something of the subject that the map does not know. */
  memo: string | null = null;

  constructor(
    readonly schema: string,
    readonly name: string,
    readonly fate: Fate,
    rolls: Rolls,
    oddPercent: number,
  ) {
    this.names = new Names(rolls, oddPercent);
  }

  add(plain: string, type: string, notNull = false): string {
    const name = this.names.next(plain);
    this.columns.push({ name, type, notNull });
    return name;
  }

  addKey(types: readonly TypeName[]): void {
    for (const [i, type] of types.entries()) {
      const value = typeOf(type);
      const name = this.add(i === types.length - 1 ? 'id' : `part${i}`, value.sql, true);
      this.key.push(name);
      this.types.set(name, value);
      if (value.sql === 'text') this.impersonal.push(name);
    }
  }

  typeOf(column: string): string {
    return this.columns.find((c) => c.name === column)!.type;
  }

  setNotNull(column: string): void {
    const at = this.columns.findIndex((c) => c.name === column);
    this.columns[at] = { ...this.columns[at]!, notNull: true };
  }

  handle(columns: readonly string[], as: Handling): void {
    if (as === 'delete') this.handled.delete.push(...columns);
    else if (as === 'detach') this.handled.detach.push(...columns);
    else if (as === 'retain') this.handled.retain.push(...columns);
    else if (as === 'mask') for (const c of columns) this.handled.mask[c] = null;
  }

  line(): TableInput {
    const { delete: gone, mask, retain, detach } = this.handled;
    const handled = {
      ...(gone.length > 0 ? { delete: gone } : {}),
      ...(Object.keys(mask).length > 0 ? { mask } : {}),
      ...(retain.length > 0
        ? { retain: { columns: retain, ground: 'tax law, AO 147', until: this.retainUntil } }
        : {}),
    };
    const mentions = this.mentions.map(({ column, path, is }) => ({ column, is, ...(path ? { path } : {}) }));
    return {
      ...(this.policy ? { policy: this.policy } : { kept: 'as long as the proof wants it' }),
      ...(this.subject ? { subject: this.subject } : {}),
      ...(mentions.length > 0 ? { mentions } : {}),
      ...(detach.length > 0 ? { detach } : {}),
      ...(Object.keys(handled).length > 0 ? { confidential: handled } : {}),
      ...(this.impersonal.length > 0 ? { impersonal: this.impersonal } : {}),
    };
  }

  referencesWritten(): Reference[] {
    return this.references.map(({ name, columns, to, action }) => ({
      name,
      columns,
      to: { schema: to.schema, name: to.name },
      targets: to.key,
      action,
    }));
  }
}
