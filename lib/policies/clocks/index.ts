/**
 * The clock of a policy: which columns of the row it reads (`clockValue`), and how they count time (`scaleOf`). The one place
 * that asks which kind it is.
 */
import { z } from 'zod';
import { allOf, id, list, name, type Sql, sql, type TableName, tableId } from '../../platform/sql';
import { identifier } from '../strategies/column';
import { epoch } from './epoch';
import { iso } from './iso';
import { Later } from './later';
import { local } from './local';
import type { Scale } from './scale';
import { zoned } from './zoned';

export { Later };

const more = {
  /** The first of these that is set, where `column` is NULL. An index holds exactly this expression. */
  otherwise: z.array(identifier).min(1).optional(),
  /** The latest of `column` and these counts. */
  orLater: z.array(identifier).min(1).optional(),
  /** `column` is that of the row of another table that this one refers to: an item goes by the date of its order. */
  in: z
    .object({
      table: z.object({ schema: identifier.default('public'), name: identifier }),
      /** Columns of the row, and the unique key of the other table that they hold, in the same order. */
      references: z.array(identifier).min(1),
      key: z.array(identifier).min(1),
    })
    .optional(),
  /** The latest of `column` and that of the rows of other tables that refer to this one: a conversation and its messages. */
  orLaterIn: z.array(Later).min(1).optional(),
  /** It lies ahead while the row is good, as an expiry does: only then a rule may keep for no time at all (`atOnce()`). */
  ahead: z.literal(true).optional(),
};

export const Clock = z.discriminatedUnion('type', [
  z.object({ column: identifier, type: z.literal('timestamptz'), ...more }),
  /** Without a zone of its own: `zone` says in which one the application wrote it. */
  z.object({
    column: identifier,
    type: z.enum(['timestamp', 'date']),
    zone: z.string().default('UTC'),
    ...more,
  }),
  /** A number since 1970. `numeric`: of a column of type numeric, which may have a fraction. */
  z.object({
    column: identifier,
    type: z.literal('epoch'),
    unit: z.enum(['seconds', 'milliseconds']),
    numeric: z.literal(true).optional(),
    ...more,
  }),
  /** ISO 8601 as text: `2026-01-31T12:00:00.000Z` with three digits, as JavaScript writes it; without or with six. */
  z.object({
    column: identifier,
    type: z.literal('iso'),
    digits: z.union([z.literal(0), z.literal(3), z.literal(6)]).default(3),
    ...more,
  }),
]);
export type Clock = z.output<typeof Clock>;

export function scaleOf(clock: Clock): Scale {
  switch (clock.type) {
    case 'timestamptz':
      return zoned;
    case 'timestamp':
    case 'date':
      return local(clock.type, clock.zone);
    case 'epoch':
      return epoch(clock.unit, clock.numeric !== true);
    case 'iso':
      return iso(clock.digits);
  }
}

interface Columns {
  readonly column: string;
  readonly otherwise?: readonly string[] | undefined;
  readonly orLater?: readonly string[] | undefined;
  readonly in?: Elsewhere | undefined;
  readonly orLaterIn?: readonly Later[] | undefined;
}
interface Elsewhere {
  readonly table: TableName;
  readonly references: readonly string[];
  readonly key: readonly string[];
}

/** The columns of the row that it reads. */
export const clockColumns = ({ column, otherwise, orLater, in: other }: Columns): string[] =>
  other ? [...other.references] : [column, ...(otherwise ?? orLater ?? [])];

/** One column says it alone: its statistics, and a partition's bounds, are the clock's. */
export const isOneColumn = (clock: Columns): boolean => walksByOneColumn(clock) && !clock.orLaterIn;

/** Rows are walked in the order of one column of theirs, whatever else decides. */
export const walksByOneColumn = (clock: Columns): boolean => !clock.in && clockColumns(clock).length === 1;

/** The value of a row, as an index holds it. */
export function clockValue(clock: Columns, alias: string): Sql {
  if (clock.in) return sql`(select ${id(OTHER, clock.column)} ${fromOther(clock.in, alias)})`;
  const columns = clockColumns(clock).map((c) => id(alias, c));
  if (columns.length === 1) return columns[0]!;
  return clock.otherwise ? sql`coalesce(${list(...columns)})` : sql`greatest(${list(...columns)})`;
}

/** The row of the other table, which is one at most. */
const OTHER = 'p';
const fromOther = ({ table, references, key }: Elsewhere, alias: string): Sql =>
  sql`from ${tableId(table)} ${id(OTHER)} where ${allOf(...key.map((k, i) => sql`${id(OTHER, k)} = ${id(alias, references[i]!)}`))}`;

/** That a condition on the clock's value is true: of a clock in another table in a form that PostgreSQL joins. */
export const ofClock = (clock: Columns, alias: string, condition: (value: Sql) => Sql): Sql =>
  clock.in
    ? sql`exists (select 1 ${fromOther(clock.in, alias)} and ${condition(id(OTHER, clock.column))})`
    : condition(clockValue(clock, alias));

/** As it stands in CREATE INDEX. */
export function indexed(clock: Columns): string {
  const columns = clockColumns(clock).map(name);
  if (columns.length === 1) return columns[0]!;
  return `(${clock.otherwise ? 'coalesce' : 'greatest'}(${columns.join(', ')}))`;
}

/** For people: `deleted_at, otherwise updated_at`, `the latest of created_at, sent_at of messages`. */
export function clockInWords({ column, otherwise, orLater, orLaterIn = [], in: other }: Columns): string {
  if (other) return `${column} of ${other.table.name}`;
  const own = otherwise
    ? [column, ...otherwise].join(', otherwise ')
    : [column, ...(orLater ?? [])].join(', ');
  const all = [own, ...orLaterIn.map((x) => `${x.column} of ${x.table.name}`)];
  return orLater || orLaterIn.length > 0 ? `the latest of ${all.join(', ')}` : own;
}

/** What its declaration breaks, each naming the field. */
export function clockProblems(clock: Clock): string[] {
  const problems: string[] = [];
  const columns = clockColumns(clock);
  if (clock.otherwise && clock.orLater)
    problems.push('clock.orLater: say either what counts otherwise, or the latest of several');
  const other = clock.in;
  if (other && (clock.otherwise || clock.orLater || clock.orLaterIn))
    problems.push('clock.in: a clock in another table is one column of it');
  if (other && other.references.length !== other.key.length)
    problems.push('clock.in.references: must list as many columns as clock.in.key');
  if (new Set(columns).size < columns.length) problems.push('clock: names a column twice');
  for (const [of, field] of [
    [clock, 'clock'] as const,
    ...(clock.orLaterIn ?? []).map((of, i) => [of, `clock.orLaterIn.${i}`] as const),
  ]) {
    if ((of.type === 'timestamp' || of.type === 'date') && !isZone(of.zone)) {
      problems.push(`${field}.zone: "${of.zone}" is not a time zone`);
    }
  }
  return problems;
}

/** Of what refers to the row, beside its own fields. */
export const laterProblems = ({ orLaterIn = [] }: Clock, key: readonly unknown[]): string[] =>
  orLaterIn.flatMap(({ references, refersTo = key }, i) =>
    references.length === refersTo.length
      ? []
      : [`clock.orLaterIn.${i}.references: must list as many columns as the key, or as refersTo, has`],
  );

function isZone(zone: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone });
    return true;
  } catch {
    return false;
  }
}
