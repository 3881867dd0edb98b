/**
 * SQL as a value: the one place where names become SQL and values become `$n`. A hole of a template takes a fragment or
 * a value, and a plain string is a value: the unsafe spelling is the long one (`raw`). A fragment that is not used
 * brings no parameter with it.
 */
// sql-template-tag: 150 lines, no dependencies; fragments nest and number their parameters when they are printed.
import { empty, join, raw, Sql } from 'sql-template-tag';
import type { Statement } from './database';

export { empty, raw, Sql };

/** What may stand in a hole beside a fragment: it becomes a parameter, cast in the statement. */
export type Value = Statement['params'][number];

export const sql = (strings: TemplateStringsArray, ...holes: readonly (Value | Sql)[]): Sql =>
  new Sql(strings, holes);

/** A quoted identifier: `id('public', 'users')` is `"public"."users"`. */
export const id = (...path: readonly string[]): Sql => raw(path.map(name).join('.'));
export const tableId = (t: TableName): Sql => id(t.schema, t.name);
/** `$n::type`; the type is one of the contract's or of our own, never a caller's. */
export const typed = (value: Value, type: string): Sql => sql`${value}::${raw(type)}`;
/** A literal: for names of tables inside a statement; values are parameters. */
export const literal = (value: string): Sql => raw(text(value));

/** A number of our own, written as it is: a limit, a lease. */
export const constant = (n: number): Sql => raw(String(n));

type Maybe = Sql | false | null | undefined;
const given = (parts: readonly Maybe[]): Sql[] =>
  parts.filter((p): p is Sql => p instanceof Sql && p !== empty);
const joined = (parts: readonly Maybe[], separator: string, none: Sql): Sql => {
  const some = given(parts);
  return some.length > 0 ? join(some, separator) : none;
};

/** The conditions that are there, all of them: `true` when there is none. */
export const allOf = (...conditions: readonly Maybe[]): Sql => joined(conditions, ' and ', sql`true`);
/** One of the conditions that are there, in parentheses: `false` when there is none. */
export const anyOf = (...conditions: readonly Maybe[]): Sql => {
  const some = given(conditions);
  return some.length > 0 ? sql`(${join(some, ' or ')})` : sql`false`;
};
/** `a, b, c` of the parts that are there. */
export const list = (...parts: readonly Maybe[]): Sql => joined(parts, ', ', empty);
/** `a + b + c`: 0 when there is none. */
export const summed = (parts: readonly Sql[]): Sql => joined(parts, ' + ', sql`0`);
/** The queries one after the other, each row of all of them. */
export const united = (queries: readonly Sql[]): Sql =>
  joined(queries, ' union all ', sql`select null where false`);
/** The parts that are there, one a line. */
export const lines = (...parts: readonly Maybe[]): Sql => joined(parts, '\n', empty);

/** A part of a `with`, by a name of ours: `materialized` keeps PostgreSQL from folding it into what reads it. */
export const cte = (called: string, body: Sql, materialized = false): Sql =>
  sql`${raw(called)} as ${raw(materialized ? 'materialized ' : '')}(${body})`;
/** `with a as (…), b as (…)` of the parts that are there; nothing when there is none. */
export const withParts = (...parts: readonly Maybe[]): Sql => {
  const some = given(parts);
  return some.length > 0 ? sql`with ${join(some, ',\n')}\n` : empty;
};

const ISO = 'YYYY-MM-DD"T"HH24:MI:SS';
const FRACTION = { us: '.US', ms: '.MS', s: '' } as const;
/** An instant as ISO 8601 in UTC: with microseconds, as PostgreSQL keeps it and entries are hashed; `ms` as a Date; `s` for people. */
export const utc = (instant: Sql, digits: keyof typeof FRACTION = 'us'): Sql =>
  sql`to_char(${instant} at time zone 'UTC', ${literal(`${ISO}${FRACTION[digits]}"Z"`)})`;

/** PostgreSQL passes at most a hundred arguments to a function. */
const MOST_ARGUMENTS = 100;

function inParts(called: string, items: readonly Sql[], most: number): Sql {
  const calls = Array.from({ length: Math.max(1, Math.ceil(items.length / most)) }, (_, i) => {
    return sql`${raw(called)}(${list(...items.slice(i * most, (i + 1) * most))})`;
  });
  return calls.length === 1 ? calls[0]! : sql`(${join(calls, ' || ')})`;
}

/** A JSON object of any number of entries, each `name, value`. */
export const jsonObject = (entries: readonly Sql[]): Sql =>
  inParts('jsonb_build_object', entries, MOST_ARGUMENTS / 2);

/** A JSON array of any number of items. */
export const jsonArray = (items: readonly Sql[]): Sql => inParts('jsonb_build_array', items, MOST_ARGUMENTS);

/** The key as one text: the value itself, or a JSON array of the values as text. */
export function keyAsText(alias: string, key: readonly KeyColumn[]): Sql {
  const columns = key.map((k) => sql`${id(alias, k.column)}::text`);
  return columns.length === 1 ? columns[0]! : sql`jsonb_build_array(${list(...columns)})::text`;
}

/** The way back: a relation `kt(k0, k1, …)` of typed key values from an expression of type text[]. */
export function keysAsRows(array: Sql, key: readonly KeyColumn[], of: TableName): Sql {
  const value = (i: number) => (key.length === 1 ? sql`x` : sql`(x::jsonb ->> ${raw(String(i))})`);
  const columns = key.map((k, i) =>
    k.type === undefined
      ? sql`${id('r', k.column)} as ${id(`k${i}`)}`
      : sql`${value(i)}::${raw(k.type)} as ${id(`k${i}`)}`,
  );
  const untyped = key.flatMap((k, i) =>
    k.type === undefined ? [sql`${literal(k.column)}::text, ${value(i)}`] : [],
  );
  // What is not declared has the type of its column: read into a row of that table.
  const read =
    untyped.length === 0
      ? empty
      : sql` cross join lateral jsonb_populate_record(null::${tableId(of)}, jsonb_build_object(${list(...untyped)})) r`;
  return sql`(select ${list(...columns)} from unnest(${array}) x${read}) kt`;
}

/** A value to compare a key's column with: without a declared type it takes that of the column. */
export const keyValue = (value: Value, { type }: Pick<KeyColumn, 'type'>): Sql =>
  type === undefined ? sql`${value}` : typed(value, type);

/** Whether a row is the one of a key in `kt`. */
export const isKey = (alias: string, key: readonly KeyColumn[]): Sql =>
  allOf(...key.map((k, i) => sql`${id(alias, k.column)} = ${id('kt', `k${i}`)}`));

/** A statement as the database takes it. */
export const statement = (composed: Sql): Statement => ({
  text: composed.text,
  params: composed.values as Value[],
});

/** The text with its values written into it: for text that a function of the database executes. */
export function inlined(composed: Sql): string {
  const written = (value: Value): string => {
    if (value === null) return 'null';
    if (typeof value === 'object') throw new TypeError('a list cannot be written into a statement');
    return text(String(value));
  };
  return composed.strings.reduce((all, part, i) => all + written(composed.values[i - 1] as Value) + part);
}

interface Name {
  readonly schema: string;
  readonly name: string;
}
/** `of`: a partition of that table, by whose name holds, receipts and dead letters know its rows. */
export interface TableName extends Name {
  readonly of?: Name;
}
/** `type` as PostgreSQL prints it, used in casts only; without it, the column's own. */
export interface KeyColumn {
  readonly column: string;
  readonly type?: string | undefined;
  /** `false`: a key of text that identifies no person. */
  readonly personal?: false;
}

/** A name, quoted so that any name is only a name. */
export const name = (identifier: string): string => `"${identifier.replaceAll('"', '""')}"`;
export const table = (t: TableName): string => `${name(t.schema)}.${name(t.name)}`;
/** A literal. Only for what a person is told to run; in a statement it is `literal`. */
export const text = (value: string): string => `'${value.replaceAll("'", "''")}'`;
/** How a table is called in receipts, holds and dead letters. */
export const tableLabel = (t: TableName): string => `${(t.of ?? t).schema}.${(t.of ?? t).name}`;

/** Every name by which a hold on one of its rows may call it: a partition by its own, too. */
export const tableLabels = (t: TableName): string[] =>
  t.of ? [tableLabel(t.of), `${t.schema}.${t.name}`] : [tableLabel(t)];

/** A key of one uuid, which receipts hold as such: less than half the bytes of its text. */
export const isUuid = (key: readonly KeyColumn[]): boolean => key.length === 1 && key[0]!.type === 'uuid';
