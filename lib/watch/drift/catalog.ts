/**
 * What the catalogs know of the tables that are not Lapse's own: columns, and foreign keys that no index answers. A page of
 * tables a request, so that a schema of thousands is read in bounded pieces. Reads no row of any of them.
 */
import { z } from 'zod';
import { query, rows } from '../../platform/query';
import { constant, sql } from '../../platform/sql';

/** Some hundred kilobytes of an answer. */
export const PAGE = 400;

const Column = z
  .tuple([z.string(), z.string(), z.boolean()])
  .transform(([name, type, required]) => ({ name, type, required }));
const ForeignKey = z.object({
  name: z.string(),
  columns: z.array(z.string()),
  /** `schema.table` it points at. */
  to: z.string(),
});
const Table = z.object({
  /** `schema.table`. */
  label: z.string(),
  schema: z.string(),
  name: z.string(),
  partitioned: z.boolean(),
  columns: z.array(Column),
  /** Only those that no index answers. */
  unindexed: z.array(ForeignKey),
});
export type Table = z.infer<typeof Table>;

/**
 * Tables, partitioned ones as one, and materialized views, in the order of their labels. Not among them: what belongs to
 * an extension, other sessions' temporary tables, and what Lapse keeps for itself.
 */
export const tablesAfter = (label: string) =>
  query(
    sql`with page as (
        select c.oid, n.nspname as schema, c.relname as name, c.relkind = 'p' as partitioned, n.nspname || '.' || c.relname as label
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.relkind in ('r', 'p', 'f', 'm') and not c.relispartition
          and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'retention', 'lapse_meta')
          and not (n.nspname = 'public' and c.relname in ('lapse_migrations', 'lapse_example_migrations'))
          and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
          and n.nspname || '.' || c.relname > ${label} collate "C"
        order by n.nspname || '.' || c.relname collate "C" limit ${constant(PAGE)}
      )
      select p.label, p.schema, p.name, p.partitioned,
        (select coalesce(jsonb_agg(jsonb_build_array(a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull) order by a.attnum), '[]')
          from pg_attribute a where a.attrelid = p.oid and a.attnum > 0 and not a.attisdropped) as columns,
        (select coalesce(jsonb_agg(jsonb_build_object('name', f.conname, 'to', n.nspname || '.' || r.relname, 'columns', k.columns) order by f.conname), '[]')
          from pg_constraint f join pg_class r on r.oid = f.confrelid join pg_namespace n on n.oid = r.relnamespace
          cross join lateral (
            select jsonb_agg(a.attname order by x.ord) as columns
            from unnest(f.conkey) with ordinality x(attnum, ord) join pg_attribute a on a.attrelid = f.conrelid and a.attnum = x.attnum
          ) k
          where f.conrelid = p.oid and f.contype = 'f' and f.conparentid = 0 and not exists (
            select from pg_index i where i.indrelid = f.conrelid and i.indisvalid
              and (i.indpred is null or pg_get_expr(i.indpred, i.indrelid) ~ '^\(\S+ IS NOT NULL\)$')
              and (string_to_array(i.indkey::text, ' ')::int2[])[1:cardinality(f.conkey)] @> f.conkey)) as unindexed
      from page p order by p.label collate "C"`,
    rows(Table),
  );
