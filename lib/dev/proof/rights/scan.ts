/**
 * Looks for a person without any knowledge of the schema: every column of every table there is, as text, and in it any of the
 * person's marks. Tables of Lapse itself are looked into as well, and left out only by name where they keep ids as evidence.
 */
import type { Client } from 'pg';

export interface Scan {
  /** By table, the columns with a mark. */
  readonly tables: ReadonlyMap<string, readonly string[]>;
  readonly columns: number;
  /** Values with a mark. */
  readonly found: number;
  foundIn(tables: readonly string[]): number;
}

/** Evidence that a deletion happened names ids, never addresses or names (docs/GDPR.md). */
const EVIDENCE = [
  'retention.erasure.subject',
  'retention.receipt.keys',
  'retention.receipt.cursor_after',
  'retention.receipt.dependants',
  'retention.outbox',
];

export async function scan(owner: Client, marks: readonly string[]): Promise<Scan> {
  const { rows: columns } = await owner.query<{ schema: string; table: string; column: string }>(
    `select n.nspname as schema, c.relname as "table", a.attname as "column"
     from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
     where c.relkind in ('r', 'p') and not c.relispartition and a.attnum > 0 and not a.attisdropped
       and n.nspname !~ '^pg_' and n.nspname <> 'information_schema' order by 1, 2, a.attnum`,
  );
  const tables = new Map<string, string[]>();
  const counts = new Map<string, number>();
  const patterns = marks.map((m) => `%${m}%`);
  for (const { schema, table, column } of columns) {
    const label = `${schema}.${table}`;
    if (EVIDENCE.includes(`${label}.${column}`) || EVIDENCE.includes(label)) continue;
    const { rows } = await owner.query<{ n: number }>(
      `select count(*)::int as n from "${schema}"."${table}" t where t."${column}"::text ilike any($1)`,
      [patterns],
    );
    const n = rows[0]!.n;
    if (n === 0) continue;
    tables.set(label, [...(tables.get(label) ?? []), column]);
    counts.set(label, (counts.get(label) ?? 0) + n);
  }
  const sum = (of: Iterable<number>) => [...of].reduce((a, b) => a + b, 0);
  return {
    tables,
    columns: columns.length,
    found: sum(counts.values()),
    foundIn: (some) => sum(some.map((t) => counts.get(t) ?? 0)),
  };
}
