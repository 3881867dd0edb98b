/** Quoting and parameters: the one place where names become SQL and values become `$n`. */
import type { Statement } from './database';

interface Name {
  readonly schema: string;
  readonly name: string;
}
/** `of`: a partition of that table, by whose name holds, receipts and dead letters know its rows. */
export interface TableName extends Name {
  readonly of?: Name;
}
/** `type` as PostgreSQL prints it; used in casts only. */
export interface KeyColumn {
  readonly column: string;
  readonly type: string;
  /** `false`: a key of text that names nobody. */
  readonly personal?: false;
}

/** A name, quoted so that any name is only a name. */
export const name = (identifier: string): string => `"${identifier.replaceAll('"', '""')}"`;
export const table = (t: TableName): string => `${name(t.schema)}.${name(t.name)}`;
/** A literal. Only for names of tables inside text; values are parameters. */
export const text = (value: string): string => `'${value.replaceAll("'", "''")}'`;
/** How a table is called in receipts, holds and dead letters. */
export const tableLabel = (t: TableName): string => `${(t.of ?? t).schema}.${(t.of ?? t).name}`;

/** Every name by which a hold on one of its rows may call it: a partition by its own, too. */
export const tableLabels = (t: TableName): string[] =>
  t.of ? [tableLabel(t.of), `${t.schema}.${t.name}`] : [tableLabel(t)];

/** The key as one text: the value itself, or a JSON array of the values as text. */
export function keyText(alias: string, key: readonly KeyColumn[]): string {
  const columns = key.map((k) => `${alias}.${name(k.column)}::text`);
  return columns.length === 1 ? columns[0]! : `jsonb_build_array(${columns.join(', ')})::text`;
}

/** A key of one uuid, which receipts hold as such: less than half the bytes of its text. */
export const isUuid = (key: readonly KeyColumn[]): boolean => key.length === 1 && key[0]!.type === 'uuid';

/** The way back: a relation `kt(k0, k1, …)` of typed key values from an expression of type text[]. */
export function keysFrom(array: string, key: readonly KeyColumn[]): string {
  const columns =
    key.length === 1
      ? [`x::${key[0]!.type} as k0`]
      : key.map((k, i) => `(x::jsonb ->> ${i})::${k.type} as k${i}`);
  return `(select ${columns.join(', ')} from unnest(${array}) x) kt`;
}

/** `t.a = kt.k0 and t.b = kt.k1` */
export const sameKey = (alias: string, key: readonly KeyColumn[], other = 'kt'): string =>
  key.map((k, i) => `${alias}.${name(k.column)} = ${other}.k${i}`).join(' and ');

/** Collects parameters while a statement is written. */
export class Parameters {
  readonly #values: (string | null)[] = [];

  add(value: string | number | boolean | null, type?: string): string {
    this.#values.push(value === null ? null : String(value));
    return `$${this.#values.length}${type ? `::${type}` : ''}`;
  }

  statement(sql: string): Statement {
    return { text: sql, params: this.#values };
  }
}

/** Values written into the statement itself: for text that another function of the database executes. */
export class Literals extends Parameters {
  override add(value: string | number | boolean | null, type?: string): string {
    return `${value === null ? 'null' : text(String(value))}${type ? `::${type}` : ''}`;
  }
}
