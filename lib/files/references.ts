/**
 * Who may still need a file: every column of every policy that names files, whatever becomes of them, with those of the
 * dependants, of the contents and the shared ones. A file is deleted only when none of these columns names it, in any spelling.
 */
import { z } from 'zod';
import type { Problem } from '../platform/errors';
import { indexStatement } from '../platform/index-statement';
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
      ...(p.contents ?? []).map((c) => ({ table: c.table, files: c.files })),
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
        where i.indrelid = r.oid and i.indisvalid and i.indpred is null and i.indkey[0] = 0 and am.amname = 'btree'
          and pg_get_indexdef(i.indexrelid, 1, false) in (
            format('retention.blob_path(%I)', w.c), format('retention.blob_path((%I)::text)', w.c),
            format('blob_path(%I)', w.c), format('blob_path((%I)::text)', w.c)))`;

/** An array of the columns that no index answers for, or that may not be read: those of `Unfit`. */
export function unfitReferences(references: readonly FileReference[]): Sql {
  const wanted = references.map(({ table: t, column }) => ({ s: t.schema, t: t.name, c: column }));
  // By name: to_regclass raises in a schema that the role may not use, and that is to be said with the rest.
  return sql`coalesce((
    select jsonb_agg(jsonb_build_object('schema', w.s, 'table', w.t, 'column', w.c, 'there', r.oid is not null,
      'in_parts', coalesce(r.relkind = 'p', false), 'may_use', x.may_use, 'may_read', x.may_read, 'indexed', x.indexed))
    from jsonb_to_recordset(${JSON.stringify(wanted)}::jsonb) w(s text, t text, c text)
    left join (pg_class r join pg_namespace n on n.oid = r.relnamespace) on n.nspname = w.s and r.relname = w.t
    cross join lateral (select ${INDEXED} as indexed, coalesce(has_schema_privilege(n.oid, 'USAGE'), false) as may_use,
      coalesce(has_table_privilege(r.oid, 'SELECT'), false) as may_read) x
    where not (x.indexed and x.may_use and x.may_read)), '[]')`;
}

const UnfitReference = z.object({
  schema: z.string(),
  table: z.string(),
  column: z.string(),
  /** Whether there is a table of that name. */
  there: z.boolean(),
  /** It is partitioned. */
  in_parts: z.boolean(),
  may_use: z.boolean(),
  may_read: z.boolean(),
  indexed: z.boolean(),
});
export const Unfit = z.array(UnfitReference);

/** All that keeps Lapse from deciding about files; without an index each file would scan that table. */
export const judgeReferences = (unfit: z.infer<typeof Unfit>): Problem[] => unfit.flatMap(judgeReference);

function judgeReference(r: z.infer<typeof UnfitReference>): Problem[] {
  const at = { schema: r.schema, name: r.table };
  const of = table(at);
  if (!r.there) {
    return [
      {
        problem: `${of} names files and does not exist`,
        remedy: 'create it, or correct `files` in the policy',
      },
    ];
  }
  const path = `retention.blob_path(${name(r.column)})`;
  const use = {
    problem: `${of} names files and lies in a schema that the role may not use`,
    remedy: `GRANT USAGE ON SCHEMA ${name(r.schema)} TO lapse_app;`,
  };
  const read = {
    problem: `${of} names files and cannot be read`,
    remedy: `GRANT SELECT ON ${of} TO lapse_app;`,
  };
  const index = {
    problem: `${of} has no index on ${path}, which names files: each file would scan it`,
    remedy: indexStatement({ table: at, isPartitioned: r.in_parts, columns: path }),
  };
  return [...(r.may_use ? [] : [use]), ...(r.may_read ? [] : [read]), ...(r.indexed ? [] : [index])];
}
