/**
 * Who may still need a file: every column of every policy that names files, whatever becomes of them, with the
 * dependants' and the shared ones. A file goes only when none of these columns names it.
 */

import type { Problem } from '../batch/preflight';
import { name, Parameters, table, tableLabel, text } from '../batch/sql';
import type { Row, Statement } from '../database';
import type { Policy, TableName } from '../policies/contract';

export interface Reference {
  readonly table: TableName;
  readonly column: string;
}

export function referencesOf(policies: readonly Policy[]): Reference[] {
  const all = policies.flatMap((p) =>
    [
      { table: p.table, files: p.files },
      ...p.dependants.map((d) => ({ table: d.table, files: d.files })),
    ].flatMap(({ table, files }) => files.flatMap((f) => [{ table, column: f.column }, ...f.sharedWith])),
  );
  return [...new Map(all.map((r) => [`${tableLabel(r.table)}.${r.column}`, r])).values()];
}

/**
 * True where a live row names one of `forms`, an expression of type text[]. Form by form through the column's
 * index: `= any(array)` of unknown length made the planner read small tables whole, once a file.
 */
export const referenced = (references: readonly Reference[], forms: string): string =>
  references
    .map(
      (r) => `exists (select 1 from unnest(${forms}) u(form) cross join lateral (
          select 1 from ${table(r.table)} x where x.${name(r.column)} = u.form limit 1) y)`,
    )
    .join(' or ') || 'false';

/** One row a column that no index answers for, or that may not be read: `{ table_name, column_name, indexed, may }`. */
export function unfitReferences(references: readonly Reference[]): Statement {
  const p = new Parameters();
  const wanted = p.add(JSON.stringify(references.map((r) => ({ t: table(r.table), c: r.column }))), 'jsonb');
  return p.statement(`select w.t as table_name, w.c as column_name, x.indexed, x.may
    from jsonb_to_recordset(${wanted}) w(t text, c text)
    cross join lateral (select
      exists (select 1 from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
        where i.indrelid = to_regclass(w.t) and a.attname = w.c and i.indisvalid and i.indpred is null) as indexed,
      coalesce(has_table_privilege(to_regclass(w.t), 'SELECT'), false) as may) x
    where not x.indexed or not x.may`);
}

/** What keeps the drain from deciding; without an index each file would scan that table. */
export function judgeReferences(rows: readonly Row[]): Problem[] {
  return rows.map((r) =>
    r.may
      ? {
          problem: `${r.table_name} has no index on (${name(String(r.column_name))}), which names files: each file would scan it`,
          remedy: `CREATE INDEX CONCURRENTLY ON ${r.table_name} (${name(String(r.column_name))});`,
        }
      : {
          problem: `${r.table_name} names files and cannot be read, or does not exist`,
          remedy: `GRANT SELECT ON ${r.table_name} TO lapse_app;`,
        },
  );
}

/** The ways a row may write a path: as it is, or behind an address of the store, encoded as URLs are. */
export const formsOf = (path: string, bases: readonly string[]): string =>
  `(array[${path}]${bases.map((b) => ` || (${text(b)} || retention.blob_url_path(${path}))`).join('')})`;
