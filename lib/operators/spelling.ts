/**
 * What a person wrote, as PostgreSQL prints it in the columns it will be compared with (retention.as_printed).
 * The types come from the catalog; a value that a type refuses, or would change, is not a subject there.
 */
import { z } from 'zod';
import { RequestError } from '../platform/errors';
import { type Query, query, rows } from '../platform/query';
import { askOne } from '../platform/session';
import { sql, tableLabel } from '../platform/sql';
import type { Services } from '../services';
import type { Parts } from './subject';
import type { Target } from './targets';

export type Asked = Pick<Services, 'database'>;

/** A look into the catalog and a cast, for a page of holds in every table there is. */
const STATEMENT_MS = 10_000;

const Column = z.object({
  type: z.string().nullable(),
  base: z.string().nullable(),
  loose: z.boolean().nullable(),
  problem: z.string().nullable(),
});
const Answer = z.object({
  pair: z.coerce.number(),
  values: z.array(z.string().nullable()),
  subject: z.string().nullable(),
  columns: z.array(Column),
});

/** One value as one table has it. */
export interface Spelled {
  readonly target: Target;
  /** The printed value, of several columns their JSON array: exactly what a batch compares. Null: no such value. */
  readonly subject: string | null;
  /** Each column's printed value. */
  readonly values: readonly string[];
  readonly columns: readonly z.output<typeof Column>[];
  /** Rows may print an equal value in another way: only the rows themselves tell. */
  readonly loose: boolean;
}

/** One answer a pair, in their order. A value with too few or too many parts is none of that table. */
export async function spell(
  { database }: Asked,
  pairs: readonly { parts: readonly string[]; target: Target }[],
): Promise<Spelled[]> {
  const wants = pairs.flatMap(({ parts, target }, pair) =>
    target.columns.map((column, i) => ({
      pair,
      i,
      schema: target.table.schema,
      table: target.table.name,
      column,
      given: parts.length === target.columns.length ? parts[i] : null,
    })),
  );
  const answers = await askOne(database, asPrinted(wants), { statementMs: STATEMENT_MS, readOnly: true });
  return answers.map((a) => ({
    target: pairs[a.pair]!.target,
    subject: a.subject,
    values: a.subject === null ? [] : a.values.map(String),
    columns: a.columns,
    loose: a.columns.some((c) => c.loose),
  }));
}

/**
 * `wants`: of each pair, each part with the column it is for. Columns of one type and collation print alike: each value is printed once
 * for all of them, by the first.
 */
const asPrinted = (wants: readonly object[]): Query<z.output<typeof Answer>[]> =>
  query(
    sql`with w as materialized (
        select *, coalesce(given, '') as value, given is null as nothing
        from jsonb_to_recordset(${JSON.stringify(wants)}::jsonb) as x(pair int, i int, schema text, "table" text, "column" text, given text)
      ), k as materialized (
        select c.*, coalesce(a.sign, '') as sign from (select distinct schema, "table", "column" from w) c left join lateral (
          select concat_ws(' ', a.atttypid, a.atttypmod, a.attcollation) as sign
          from pg_namespace n join pg_class r on r.relnamespace = n.oid join pg_attribute a on a.attrelid = r.oid
          where n.nspname = c.schema and r.relname = c."table" and a.attname = c."column" and a.attnum > 0 and not a.attisdropped offset 0
        ) a on true
      ), p as materialized (
        select g.sign, g.value, g.nothing, x.* from (select distinct k.sign, w.value, w.nothing from w join k using (schema, "table", "column")) g
        join (select distinct on (sign) * from k) f on f.sign = g.sign
        cross join lateral retention.as_printed(f.schema, f."table", f."column", case when not g.nothing then g.value end) x
      )
      select w.pair, jsonb_agg(p.printed order by w.i) as values,
        case when bool_and(p.problem is null) then case when count(*) = 1 then min(p.printed) else jsonb_agg(p.printed order by w.i)::text end end as subject,
        jsonb_agg(jsonb_build_object('type', p.type_name, 'base', p.base_name, 'loose', p.loose, 'problem', p.problem) order by w.i) as columns
      from w join k using (schema, "table", "column") join p on p.sign = k.sign and p.value = w.value and p.nothing = w.nothing
      group by w.pair order by w.pair`,
    rows(Answer),
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
