/**
 * What the catalogs say of the tables an erasure may reach: those of the data map and of the policies, and whatever refers to
 * one of them by a foreign key, at any depth. A partitioned table is known by its root.
 */
import { z } from 'zod';
import type { Database } from '../../platform/database';
import { query, rows } from '../../platform/query';
import { ask } from '../../platform/session';
import { type Sql, sql } from '../../platform/sql';

/** The catalogs of a few hundred tables. */
const LIMITS = { statementMs: 10_000, readOnly: true };

const Column = z
  .tuple([z.string(), z.string(), z.string(), z.boolean()])
  .transform(([name, type, plain, required]) => ({ name, type, plain, required }));

const Table = z.object({
  /** `schema.table`. */
  label: z.string(),
  schema: z.string(),
  name: z.string(),
  partitioned: z.boolean(),
  columns: z.array(Column),
  /** Of the primary key, else of the first unique index that names every row; empty: there is neither. */
  key: z.array(z.string()),
  may_use: z.boolean(),
  may_read: z.boolean(),
  may_read_parts: z.boolean(),
});
export type Table = z.output<typeof Table>;

const Reference = z.object({
  name: z.string(),
  /** `schema.table` it stands on, and its columns. */
  from: z.string(),
  columns: z.array(z.string()),
  to: z.string(),
  to_columns: z.array(z.string()),
  /** a: no action, r: restrict, c: cascade, n: set null, d: set default. */
  on_delete: z.enum(['a', 'r', 'c', 'n', 'd']),
});
export type Reference = z.output<typeof Reference>;

export interface Catalog {
  readonly tables: ReadonlyMap<string, Table>;
  readonly references: readonly Reference[];
}

/** CTE `wanted`: the tables of these labels, and all that refers to them. */
const wanted = (labels: readonly string[]) => sql`with recursive links as materialized (
    select f.oid, f.conname, f.conrelid, f.confrelid, f.conkey, f.confkey, f.confdeltype,
      coalesce(pg_partition_root(f.conrelid)::oid, f.conrelid) as from_root, coalesce(pg_partition_root(f.confrelid)::oid, f.confrelid) as to_root
    from pg_constraint f where f.contype = 'f' and f.conparentid = 0
  ), wanted(oid) as (
    select c.oid from jsonb_array_elements_text(${JSON.stringify(labels)}::jsonb) x(label)
      join pg_namespace n on true join pg_class c on c.relnamespace = n.oid and n.nspname || '.' || c.relname = x.label
      where c.relkind in ('r', 'p')
    union select l.from_root from wanted w join links l on l.to_root = w.oid
  )`;

/** Names of the columns that a foreign key `l` lists. */
const columnNames = (numbers: Sql, relation: Sql) => sql`(
    select jsonb_agg(a.attname order by k.ord) from unnest(${numbers}) with ordinality k(attnum, ord)
    join pg_attribute a on a.attrelid = ${relation} and a.attnum = k.attnum)`;

const tablesOf = (labels: readonly string[]) =>
  query(
    sql`${wanted(labels)}
    select n.nspname || '.' || c.relname as label, n.nspname as schema, c.relname as name, c.relkind = 'p' as partitioned,
      (select coalesce(jsonb_agg(jsonb_build_array(a.attname, format_type(a.atttypid, a.atttypmod), format_type(a.atttypid, null), a.attnotnull) order by a.attnum), '[]')
        from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns,
      coalesce((select (select jsonb_agg(a.attname order by k.ord) from unnest(i.indkey::int2[]) with ordinality k(attnum, ord)
          join pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum where k.ord <= i.indnkeyatts)
        from pg_index i where i.indrelid = c.oid and i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null
          and not exists (select from unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) k(attnum)
            join pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum where not a.attnotnull)
        order by i.indisprimary desc, i.indexrelid limit 1), '[]') as key,
      has_schema_privilege(n.oid, 'USAGE') as may_use, has_any_column_privilege(c.oid, 'SELECT') as may_read,
      not exists (select from pg_partition_tree(c.oid) l where not has_any_column_privilege(l.relid, 'SELECT')) as may_read_parts
    from wanted w join pg_class c on c.oid = w.oid join pg_namespace n on n.oid = c.relnamespace order by 1`,
    rows(Table),
  );

const referencesOf = (labels: readonly string[]) =>
  query(
    sql`${wanted(labels)}
    select l.conname as name, fn.nspname || '.' || f.relname as "from", tn.nspname || '.' || t.relname as "to", l.confdeltype as on_delete,
      ${columnNames(sql`l.conkey`, sql`l.conrelid`)} as columns, ${columnNames(sql`l.confkey`, sql`l.confrelid`)} as to_columns
    from links l join wanted w on w.oid = l.to_root
      join pg_class f on f.oid = l.from_root join pg_namespace fn on fn.oid = f.relnamespace
      join pg_class t on t.oid = l.to_root join pg_namespace tn on tn.oid = t.relnamespace
    order by 2, 1`,
    rows(Reference),
  );

/** Tables that are not there are left out: nothing of anybody can be in them. */
export async function readCatalog(database: Database, labels: readonly string[]): Promise<Catalog> {
  const found = await ask(database, { tables: tablesOf(labels), references: referencesOf(labels) }, LIMITS);
  return { tables: new Map(found.tables.map((t) => [t.label, t])), references: found.references };
}
