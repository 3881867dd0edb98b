/**
 * What a person wrote, as PostgreSQL prints it in the columns it will be compared with (retention.all_printed).
 * The types come from the catalog; a value that a type refuses, or would change, is not a subject there.
 */
import { z } from 'zod';
import { RequestError } from '../platform/errors';
import { oneRow, type Query, query } from '../platform/query';
import { askOne } from '../platform/session';
import { sql, tableLabel } from '../platform/sql';
import type { Services } from '../services';
import type { Parts } from './subject';
import type { Target } from './targets';

export type Asked = Pick<Services, 'database'>;

/** A look into the catalog and a cast, for a page of holds in every table there is. */
const STATEMENT_MS = 10_000;

const Printed = z.object({
  type: z.string().nullable(),
  base: z.string().nullable(),
  loose: z.boolean().nullable(),
  problem: z.string().nullable(),
});
const Answer = z.object({
  /** What makes columns print alike, by column; empty for one that is not there. */
  columns: z.array(z.object({ at: z.coerce.number(), sign: z.string() })),
  printed: z.array(
    Printed.extend({ sign: z.string(), given: z.string().nullable(), printed: z.string().nullable() }),
  ),
  /** Of pairs with several columns, by their number: what a batch compares. */
  several: z.record(z.string(), z.string()),
});

/** One value as one table has it. */
export interface Spelled {
  readonly target: Target;
  /** The printed value, of several columns their JSON array: exactly what a batch compares. Null: no such value. */
  readonly subject: string | null;
  /** Each column's printed value. */
  readonly values: readonly string[];
  readonly columns: readonly z.output<typeof Printed>[];
  /** Rows may print an equal value in another way: only the rows themselves tell. */
  readonly loose: boolean;
}

interface Pair {
  readonly parts: readonly string[];
  readonly target: Target;
}

/** One answer a pair, in their order. A value with too few or too many parts is none of that table. */
export async function spell({ database }: Asked, pairs: readonly Pair[]): Promise<Spelled[]> {
  if (pairs.length === 0) return [];
  const given = pairs.map(givenOf);
  const wants = wantedOf(given);
  const answer = await askOne(database, asPrinted(wants), { statementMs: STATEMENT_MS, readOnly: true });
  const signs = new Map(answer.columns.map((c) => [c.at, c.sign]));
  const printed = new Map(answer.printed.map((p) => [JSON.stringify([p.sign, p.given]), p]));
  return pairs.map((pair, i) => {
    const found = given[i]!.map(
      ([column, part]) => printed.get(JSON.stringify([signs.get(wants.at(column)), part]))!,
    );
    const values = found.map((f) => f.printed);
    const isValue = found.every((f) => f.problem === null);
    const subject = values.length > 1 ? (answer.several[i] ?? null) : isValue ? values[0]! : null;
    return {
      target: pair.target,
      subject,
      values: subject === null ? [] : values.map(String),
      columns: found,
      loose: found.some((f) => f.loose),
    };
  });
}

/** Each column of a pair as it is known here, with its part of the value. */
type Given = readonly (readonly [column: string, part: string | null])[];
const givenOf = ({ parts, target: { table, columns } }: Pair): Given =>
  columns.map((column, i) => [
    JSON.stringify([table.schema, table.name, column]),
    parts.length === columns.length ? parts[i]! : null,
  ]);

interface Wanted {
  /** Of each column every value that is looked for in it, once. */
  readonly columns: readonly { schema: string; table: string; column: string; given: (string | null)[] }[];
  /** Of pairs with several columns each part, by the number of its column. */
  readonly several: readonly { pair: number; i: number; at: number; given: string | null }[];
  /** The number of a column. */
  at(column: string): number;
}

function wantedOf(pairs: readonly Given[]): Wanted {
  const columns = new Map<string, Set<string | null>>();
  for (const [column, part] of pairs.flat()) {
    columns.set(column, (columns.get(column) ?? new Set()).add(part));
  }
  const numbers = new Map([...columns.keys()].map((column, n) => [column, n]));
  const at = (column: string): number => numbers.get(column)!;
  return {
    columns: [...columns].map(([key, given]) => {
      const [schema, table, column] = z.tuple([z.string(), z.string(), z.string()]).parse(JSON.parse(key));
      return { schema, table, column, given: [...given] };
    }),
    several: pairs.flatMap((parts, pair) =>
      parts.length === 1 ? [] : parts.map(([column, given], i) => ({ pair, i, at: at(column), given })),
    ),
    at,
  };
}

/** Columns of one type and collation print alike: each value is printed once for all of them, by the first. */
const asPrinted = ({ columns, several }: Wanted): Query<z.output<typeof Answer>> =>
  query(
    sql`with k as materialized (
        select c.at - 1 as at, x.*, coalesce(s.sign, '') as sign
        from jsonb_array_elements(${JSON.stringify(columns)}::jsonb) with ordinality c(v, at)
        cross join lateral jsonb_to_record(c.v) x(schema text, "table" text, "column" text, given jsonb) left join lateral (
          select concat_ws(' ', a.atttypid, a.atttypmod, a.attcollation) as sign
          from pg_namespace n join pg_class r on r.relnamespace = n.oid join pg_attribute a on a.attrelid = r.oid
          where n.nspname = x.schema and r.relname = x."table" and a.attname = x."column" and a.attnum > 0 and not a.attisdropped offset 0
        ) s on true
      ), p as materialized (
        select g.sign, x.* from (
          select k.sign, array_agg(distinct v.given) as given from k cross join lateral jsonb_array_elements_text(k.given) v(given) group by k.sign
        ) g join (select distinct on (sign) * from k) f on f.sign = g.sign
        cross join lateral retention.all_printed(f.schema, f."table", f."column", g.given) x
      ), m as (
        select m.pair, jsonb_agg(p.printed order by m.i)::text as subject
        from jsonb_to_recordset(${JSON.stringify(several)}::jsonb) m(pair int, i int, at int, given text)
        join k on k.at = m.at join p on p.sign = k.sign and p.given is not distinct from m.given
        group by m.pair having bool_and(p.problem is null)
      )
      select (select jsonb_agg(jsonb_build_object('at', at, 'sign', sign)) from k) as columns,
        (select jsonb_agg(jsonb_build_object('sign', sign, 'given', given, 'printed', printed, 'type', type_name, 'base', base_name,
          'loose', loose, 'problem', problem)) from p) as printed,
        (select coalesce(jsonb_object_agg(pair, subject), '{}') from m) as several`,
    oneRow(Answer),
  );

/** Those tables that can hold the value at all. Throws RequestError 422 that says what each wants when none can. */
export async function spellInAny(
  services: Asked,
  field: string,
  { values, listed }: Parts,
  targets: readonly Target[],
): Promise<Spelled[]> {
  const spelled = await spell(
    services,
    targets.map((target) => ({ parts: values, target })),
  );
  const found = spelled.filter((s) => s.subject !== null);
  if (found.length > 0) return found;
  const wants = [...new Set(spelled.map((s) => wanted(s, values, listed)))].join('; ');
  throw new RequestError(
    422,
    'no_such_value',
    `${field} cannot be a value of any table it is for: ${wants}`,
    field,
  );
}

/** The words for one table, without the value itself. */
function wanted({ target, columns }: Spelled, values: readonly string[], listed: boolean): string {
  const names = target.columns.map((c, i) => `${c} (${columns[i]?.type ?? 'no such column'})`).join(', ');
  const where = `${tableLabel(target.table)} has ${names}`;
  if (values.length !== target.columns.length) {
    return target.columns.length === 1
      ? `${where}, one value`
      : `${where}, so write a JSON array of ${target.columns.length} values${listed ? '' : ', e.g. ["2026-01-01T00:00:00Z", 7]'}`;
  }
  const why = columns.map((c) => WHY[c.problem ?? '']).find((w) => w !== undefined);
  return why ? `${where}, ${why}` : where;
}

const WHY: Record<string, string> = {
  inexact: 'which would change the value',
  zone: 'which has no time zone',
  relative: 'which needs a date, not a word for one',
};
