/**
 * Who may still need a file: every column of every policy that names files, whatever becomes of them, with the
 * dependants' and the shared ones. A file is deleted only when none of these columns names it, in any spelling.
 */
import { z } from 'zod';
import type { Problem } from '../platform/errors';
import type { TableName } from '../platform/sql';
import { anyOf, id, name, type Sql, sql, table, tableId, tableLabel } from '../platform/sql';
import type { Policy } from '../policies/contract';

export interface FileReference {
  readonly table: TableName;
  readonly column: string;
}

export function fileReferencesOf(policies: readonly Policy[]): FileReference[] {
  const all = policies.flatMap((p) =>
    [
      { table: p.table, files: p.files },
      ...p.dependants.map((d) => ({ table: d.table, files: d.files })),
    ].flatMap(({ table, files }) => files.flatMap((f) => [{ table, column: f.column }, ...f.sharedWith])),
  );
  return [...new Map(all.map((r) => [`${tableLabel(r.table)}.${r.column}`, r])).values()];
}

/**
 * True where a live row names the file of this canonical path, however it writes it. Through the index on the
 * column's canonical form: the inner limit keeps the planner from reading the table into a hash instead.
 */
export const referenced = (references: readonly FileReference[], path: Sql): Sql =>
  anyOf(
    ...references.map(
      (r) => sql`exists (select 1 from (
          select 1 from ${tableId(r.table)} x where retention.blob_path(${id('x', r.column)}) = ${path} limit 1) y)`,
    ),
  );

/** An index that answers for the canonical form of a column: its first key, of all rows. */
const INDEXED = sql`exists (select 1 from pg_index i join pg_class ic on ic.oid = i.indexrelid join pg_am am on am.oid = ic.relam
        where i.indrelid = to_regclass(w.t) and i.indisvalid and i.indpred is null and i.indkey[0] = 0 and am.amname = 'btree'
          and pg_get_indexdef(i.indexrelid, 1, false) in (
            format('retention.blob_path(%I)', w.c), format('retention.blob_path((%I)::text)', w.c),
            format('blob_path(%I)', w.c), format('blob_path((%I)::text)', w.c)))`;

/** An array of the columns that no index answers for, or that may not be read: `{ table_name, column_name, may }`. */
export function unfitReferences(references: readonly FileReference[]): Sql {
  const wanted = JSON.stringify(references.map((r) => ({ t: table(r.table), c: r.column })));
  return sql`coalesce((
    select jsonb_agg(jsonb_build_object('table_name', w.t, 'column_name', w.c, 'may', x.may))
    from jsonb_to_recordset(${wanted}::jsonb) w(t text, c text)
    cross join lateral (select ${INDEXED} as indexed,
      coalesce(has_table_privilege(to_regclass(w.t), 'SELECT'), false) as may) x
    where not x.indexed or not x.may), '[]')`;
}

export const Unfit = z.array(z.object({ table_name: z.string(), column_name: z.string(), may: z.boolean() }));
export type Unfit = z.infer<typeof Unfit>;

/** What keeps Lapse from deciding about files; without an index each file would scan that table. */
export const judgeReferences = (unfit: Unfit): Problem[] =>
  unfit.map((r) =>
    r.may
      ? {
          problem: `${r.table_name} has no index on retention.blob_path(${name(r.column_name)}), which names files: each file would scan it`,
          remedy: `CREATE INDEX CONCURRENTLY ON ${r.table_name} (retention.blob_path(${name(r.column_name)}));`,
        }
      : {
          problem: `${r.table_name} names files and cannot be read, or does not exist`,
          remedy: `GRANT SELECT ON ${r.table_name} TO lapse_app;`,
        },
  );
