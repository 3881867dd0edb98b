/**
 * What a migrated database says about schema `retention` in its own catalog: tables, columns, indexes and constraints with their
 * comments, in an order that does not depend on when they were made. The data model and its rules are made from this alone.
 */
import { Client } from 'pg';

export interface Column {
  readonly name: string;
  readonly type: string;
  readonly nullable: boolean;
  /** Null where there is none; of a generated column its expression. */
  readonly value: string | null;
  readonly comment: string | null;
}

export interface Index {
  readonly name: string;
  /** From `using` on: method, columns and predicate. */
  readonly how: string;
  readonly columns: readonly string[];
  readonly unique: boolean;
  readonly primary: boolean;
  readonly comment: string | null;
}

interface ForeignKey {
  readonly name: string;
  readonly columns: readonly string[];
  readonly table: string;
  readonly definition: string;
}

export interface Table {
  readonly name: string;
  readonly comment: string | null;
  readonly columns: readonly Column[];
  readonly indexes: readonly Index[];
  readonly foreignKeys: readonly ForeignKey[];
  readonly checks: readonly { readonly name: string; readonly definition: string }[];
  /** Names of its row triggers, for those that keep `updated_at`. */
  readonly triggers: readonly string[];
  readonly appMayRead: boolean;
  readonly appMayUpdate: boolean;
}

/** Constraints of kind "n" (not null) are PostgreSQL 18's own; older versions know them as a mark of the column. */
const CATALOG = `select c.relname as name, obj_description(c.oid, 'pg_class') as comment,
    (select coalesce(jsonb_agg(jsonb_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
        'nullable', not a.attnotnull, 'value', coalesce(pg_get_expr(d.adbin, d.adrelid),
          case when a.attidentity <> '' then 'identity' end), 'comment', col_description(c.oid, a.attnum)) order by a.attnum), '[]')
      from pg_attribute a left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns,
    (select coalesce(jsonb_agg(jsonb_build_object('name', i.relname, 'primary', x.indisprimary, 'unique', x.indisunique,
        'how', regexp_replace(pg_get_indexdef(i.oid), '^.* USING ', ''), 'comment', obj_description(i.oid, 'pg_class'),
        'columns', (select coalesce(jsonb_agg(a.attname order by k.n), '[]') from unnest(x.indkey::int2[]) with ordinality k(attnum, n)
          join pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum)) order by x.indisprimary desc, i.relname), '[]')
      from pg_index x join pg_class i on i.oid = x.indexrelid where x.indrelid = c.oid) as indexes,
    (select coalesce(jsonb_agg(jsonb_build_object('name', f.conname, 'table', r.relname, 'definition', pg_get_constraintdef(f.oid),
        'columns', (select jsonb_agg(a.attname order by k.n) from unnest(f.conkey) with ordinality k(attnum, n)
          join pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum)) order by f.conname), '[]')
      from pg_constraint f join pg_class r on r.oid = f.confrelid where f.conrelid = c.oid and f.contype = 'f') as "foreignKeys",
    (select coalesce(jsonb_agg(jsonb_build_object('name', k.conname, 'definition', pg_get_constraintdef(k.oid)) order by k.conname), '[]')
      from pg_constraint k where k.conrelid = c.oid and k.contype in ('c', 'x')) as checks,
    (select coalesce(jsonb_agg(t.tgname order by t.tgname), '[]') from pg_trigger t
      where t.tgrelid = c.oid and not t.tgisinternal) as triggers,
    has_any_column_privilege('lapse_app', c.oid, 'SELECT') as "appMayRead",
    has_any_column_privilege('lapse_app', c.oid, 'UPDATE') as "appMayUpdate"
  from pg_class c where c.relnamespace = 'retention'::regnamespace and c.relkind in ('r', 'p') order by c.relname collate "C"`;

export async function readCatalog(ownerUrl: string): Promise<Table[]> {
  const client = new Client({ connectionString: ownerUrl });
  await client.connect();
  try {
    return (await client.query<Table>(CATALOG)).rows;
  } finally {
    await client.end();
  }
}
