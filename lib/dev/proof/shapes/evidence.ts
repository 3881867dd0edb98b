/** What Lapse says it did: receipts and the outbox, read as anybody may who audits it. */
import type { Client } from 'pg';

export interface Evidence {
  /** Table and key of every row that a receipt names, as often as one does. */
  readonly named: readonly string[];
  /** The same of rows that stay and lost a reference. */
  readonly detached: readonly string[];
  /** Partitions that were dropped whole, with how many rows. */
  readonly dropped: readonly { readonly leaf: string; readonly rows: number }[];
  /** `label key url`. */
  readonly files: readonly string[];
  readonly bytes: number;
}

export async function evidenceOf(db: Client): Promise<Evidence> {
  const { rows: named } = await db.query<{ id: string }>(
    `select r.table_name || ' ' || k as id from retention.receipt r, unnest(retention.keys_of(r)) k where r.partition is null
     union all select d.key || ' ' || k from retention.receipt r, jsonb_each(r.dependants) d, jsonb_array_elements_text(d.value) k`,
  );
  const { rows: detached } = await db.query<{ id: string }>(
    `select d.key || ' ' || k as id from retention.receipt r, jsonb_each(r.detached) d, jsonb_array_elements_text(d.value) k`,
  );
  const { rows: dropped } = await db.query<{ leaf: string; rows: string }>(
    `select r.partition ->> 'name' as leaf, r.deleted::text as rows from retention.receipt r where r.partition is not null`,
  );
  const { rows: files } = await db.query<{ id: string }>(
    `select o.table_name || ' ' || o.row_key || ' ' || o.url as id from retention.outbox o`,
  );
  const { rows: sums } = await db.query<{ bytes: string }>(
    'select coalesce(sum(bytes), 0)::text as bytes from retention.receipt',
  );
  return {
    named: named.map((n) => n.id),
    detached: detached.map((d) => d.id),
    dropped: dropped.map((d) => ({ leaf: d.leaf, rows: Number(d.rows) })),
    files: files.map((f) => f.id),
    bytes: Number(sums[0]?.bytes),
  };
}
