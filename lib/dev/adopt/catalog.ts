/**
 * What the catalogs say of every table of a database: size, columns, keys, foreign keys, partitions. One statement;
 * partitions are counted with the table they are a part of. What else decides about a policy, the preflight reads itself.
 */
import { z } from 'zod';
import type { Reader } from './read-only';

const names = z.array(z.string());

const Column = z.object({
  name: z.string(),
  /** As PostgreSQL prints it with its length, and without. */
  type: z.string(),
  plain: z.string(),
  not_null: z.boolean(),
  /** Labels of an enum, in their order. */
  labels: names.nullable(),
  /** From pg_stats; null: the table was never analyzed, or the role may not see it. */
  null_share: z.number().nullable(),
});
export type Column = z.infer<typeof Column>;

/** The primary key first, then the shortest. */
const Index = z.object({ columns: names, unique: z.boolean(), partial: z.boolean() });

const Table = z.object({
  oid: z.string(),
  schema: z.string(),
  name: z.string(),
  kind: z.enum(['r', 'p', 'v', 'm', 'f']),
  /** The extension it came with. */
  extension: z.string().nullable(),
  /** By the last ANALYZE or VACUUM; null: there was none. */
  rows: z.number().nullable(),
  bytes: z.number(),
  /** Of 8 kB, of the rows themselves. */
  pages: z.number(),
  partitioned: z
    .object({
      strategy: z.string(),
      columns: names,
      partitions: z.number(),
      longest_days: z.number().nullable(),
    })
    .nullable(),
  columns: z.array(Column),
  indexes: z.array(Index),
});
export type TableFacts = z.infer<typeof Table>;

const ForeignKey = z.object({
  name: z.string(),
  from: z.string(),
  columns: names,
  to: z.string(),
  to_columns: names,
  /** a: no action, r: restrict, c: cascade, n: set null, d: set default. */
  on_delete: z.enum(['a', 'r', 'c', 'n', 'd']),
  indexed: z.boolean(),
});
export type ForeignKey = z.infer<typeof ForeignKey>;

const Answer = z.object({
  version: z.number(),
  /** Schema retention of Lapse is there. */
  migrated: z.boolean(),
  supabase: z.boolean(),
  /** Logins that run as lapse_app, and whether row-level security passes them over; not who made that role, and so is in it. */
  logins: z.array(z.object({ name: z.string(), bypasses: z.boolean() })),
  tables: z.array(Table),
  references: z.array(ForeignKey),
});
export type CatalogAnswer = z.infer<typeof Answer>;

/** Lapse's own schemas, and PostgreSQL's. */
const OWN = ['retention', 'lapse_meta', 'pg_catalog', 'information_schema'];

export async function readCatalog(reader: Reader): Promise<CatalogAnswer> {
  const [row] = await reader.ask<{ answer: unknown }>(CATALOG, [OWN]);
  return Answer.parse(row?.answer);
}

const attributes = (array: string, relation: string): string =>
  `(select coalesce(jsonb_agg(coalesce(a.attname, '') order by k.ord), '[]') from unnest(${array}) with ordinality k(attnum, ord)
      left join pg_attribute a on a.attrelid = ${relation} and a.attnum = k.attnum and k.attnum > 0)`;

/** Of column `a`, below every domain. */
const BASE = `(with recursive y(oid, below) as (
        select t.oid, t.typbasetype from pg_type t where t.oid = a.atttypid
        union all
        select t.oid, t.typbasetype from y cross join lateral (select * from pg_type where oid = y.below offset 0) t where y.below <> 0)
      select y.oid from y where y.below = 0)`;

const COLUMNS = `(select coalesce(jsonb_agg(jsonb_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
      'plain', format_type(${BASE}, null), 'not_null', a.attnotnull,
      'labels', (select jsonb_agg(e.enumlabel order by e.enumsortorder) from pg_enum e where e.enumtypid = ${BASE}),
      'null_share', (select s.null_frac from pg_stats s where s.schemaname = t.schema and s.tablename = t.name and s.attname = a.attname
        order by s.inherited desc limit 1)) order by a.attnum), '[]')
    from pg_attribute a where a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped)`;

const INDEXES = `(select coalesce(jsonb_agg(jsonb_build_object('unique', i.indisunique, 'partial', i.indpred is not null,
      'columns', ${attributes('(i.indkey::int2[])[0:i.indnkeyatts - 1]', 'i.indrelid')}) order by i.indisprimary desc, i.indnkeyatts, ic.relname), '[]')
    from pg_index i join pg_class ic on ic.oid = i.indexrelid join pg_am am on am.oid = ic.relam
    where i.indrelid = t.oid and i.indisvalid and am.amname in ('btree', 'hash'))`;

const BOUNDS = `(regexp_match(pg_get_expr(l.relpartbound, l.oid), '^FOR VALUES FROM \\(''(\\d{4,}-\\d\\d-\\d\\d[^'']*)''\\) TO \\(''(\\d{4,}-\\d\\d-\\d\\d[^'']*)''\\)$'))`;

const PARTITIONED = `(select jsonb_build_object('strategy', pt.partstrat, 'columns', ${attributes('pt.partattrs::int2[]', 'pt.partrelid')},
      'partitions', (select count(*) from leaves x where x.root = t.oid),
      'longest_days', (select max(extract(epoch from b.m[2]::timestamp - b.m[1]::timestamp) / 86400) from leaves x
        join pg_class l on l.oid = x.relid cross join lateral (select ${BOUNDS} as m) b where x.root = t.oid and b.m is not null))
    from pg_partitioned_table pt where pt.partrelid = t.oid)`;

const TABLE = `jsonb_build_object('oid', t.oid::text, 'schema', t.schema, 'name', t.name, 'kind', t.kind,
    'extension', (select e.extname from pg_depend d join pg_extension e on e.oid = d.refobjid
      where d.classid = 'pg_class'::regclass and d.objid = t.oid and d.deptype = 'e' limit 1),
    'rows', z.rows, 'bytes', z.bytes, 'pages', z.pages,
    'partitioned', ${PARTITIONED},
    'columns', ${COLUMNS}, 'indexes', ${INDEXES})`;

const rootOf = (oid: string): string => `coalesce(pg_partition_root(${oid})::oid, ${oid})`;

/** In any order, as far as the columns of the foreign key go. */
const INDEXED = `exists (select 1 from pg_index i where i.indrelid = f.conrelid and i.indisvalid and i.indpred is null
      and (i.indkey::int2[])[0:cardinality(f.conkey) - 1] @> f.conkey)`;

/** Not by pg_partition_tree, which locks every partition: of thousands the server has no room for so many locks. */
const PARTS = `parts(root, relid) as (
    select c.oid, c.oid from pg_class c where c.relkind = 'p' and not c.relispartition
    union all
    select p.root, i.inhrelid from parts p join pg_inherits i on i.inhparent = p.relid
    where not i.inhdetachpending and exists (select 1 from pg_class pc where pc.oid = p.relid and pc.relkind = 'p')
  ),
  leaves as materialized (select p.root, p.relid from parts p join pg_class c on c.oid = p.relid and c.relkind <> 'p')`;

const CATALOG = `with recursive ${PARTS}, t as materialized (
    select c.oid, n.nspname::text as schema, c.relname::text as name, c.relkind::text as kind
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition and c.relpersistence <> 't'
      and n.nspname <> all ($1::text[]) and n.nspname !~ '^pg_(toast|temp)'
  ),
  z as materialized (
    select t.oid, case when bool_or(l.reltuples < 0) then null else sum(l.reltuples) end as rows,
      coalesce(sum(pg_total_relation_size(l.oid)), 0) as bytes, coalesce(sum(pg_relation_size(l.oid)), 0) / current_setting('block_size')::int as pages
    from t left join (select x.root, x.relid from leaves x union all select t.oid, t.oid from t) p on p.root = t.oid
      left join pg_class l on l.oid = p.relid and l.relkind in ('r', 'm') group by t.oid
  )
  select jsonb_build_object('version', current_setting('server_version_num')::int,
    'migrated', exists (select 1 from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'retention' and c.relname = 'run'),
    'supabase', exists (select 1 from pg_roles where rolname = 'supabase_admin'),
    'logins', (select coalesce(jsonb_agg(jsonb_build_object('name', r.rolname, 'bypasses', r.rolbypassrls) order by r.rolname), '[]')
      from pg_roles r join pg_auth_members m on m.member = r.oid join pg_roles g on g.oid = m.roleid and g.rolname = 'lapse_app'
      where r.rolcanlogin and not r.rolsuper and not r.rolcreaterole),
    'tables', (select coalesce(jsonb_agg(${TABLE} order by t.schema, t.name), '[]') from t join z on z.oid = t.oid),
    'references', (select coalesce(jsonb_agg(distinct jsonb_build_object('name', f.conname, 'from', ${rootOf('f.conrelid')}::text, 'to', ${rootOf('f.confrelid')}::text,
      'columns', ${attributes('f.conkey', 'f.conrelid')}, 'to_columns', ${attributes('f.confkey', 'f.confrelid')}, 'on_delete', f.confdeltype, 'indexed', ${INDEXED})), '[]')
      from pg_constraint f where f.contype = 'f' and f.conparentid = 0
        and exists (select 1 from t where t.oid = ${rootOf('f.conrelid')}))) as answer`;
