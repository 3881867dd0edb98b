/** The columns of a table as they are now: what a row is written with, and what a restore compares with. */
import { z } from 'zod';
import { type Query, query, rows } from '../../platform/query';
import { id, list, type Sql, sql, type TableName, tableLabel } from '../../platform/sql';

const TableColumn = z.object({
  name: z.string(),
  /** As PostgreSQL prints it, with its length; and without, for a cast that cuts nothing off. */
  type: z.string(),
  plain: z.string(),
  number: z.number(),
  generated: z.boolean(),
  required: z.boolean(),
});

const Shape = z.object({
  table: z.string(),
  /** Null where there is no such table. */
  oid: z.string().nullable(),
  columns: z.array(TableColumn),
});
export type TableShape = z.infer<typeof Shape>;

/** One of each table, in their order. */
export function shapesOf(tables: readonly TableName[]): Query<TableShape[]> {
  const wanted = tables.map((t, n) => ({ n, s: t.schema, t: t.name, label: tableLabel(t) }));
  return query(
    sql`select w.label as table, c.oid::text as oid, coalesce((
        select jsonb_agg(jsonb_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
          'plain', format_type(a.atttypid, -1), 'number', a.attnum, 'generated', a.attgenerated <> '',
          'required', a.attnotnull and not a.atthasdef and a.attidentity = '') order by a.attnum)
        from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped), '[]') as columns
      from jsonb_to_recordset(${JSON.stringify(wanted)}::jsonb) w(s text, t text, label text, n int)
      left join (pg_class c join pg_namespace n on n.oid = c.relnamespace) on n.nspname = w.s and c.relname = w.t
      order by w.n`,
    rows(Shape),
  );
}

/** Every value of a row as PostgreSQL prints it, in the order of the columns: a JSON list of texts and nulls. */
export const valuesOf = (alias: string, names: readonly string[]): Sql =>
  sql`to_json(array[${list(...names.map((name) => sql`${id(alias, name)}::text`))}]::text[])`;
