/** Children as a busy application adds them: like one that is there, with a key of its own, of the same parent. */
import type { Client } from 'pg';
import { type Copy, keyText } from './copy';
import { Rolls } from './rolls';
import { labelOf, listed, literal, type Shape, type ShapeTable, tableOf } from './shape';

export interface CopyTarget {
  readonly table: ShapeTable;
  /** Of the key; it gets a new value. */
  readonly own: string;
}

const NEW = /^(uuid|bigint|integer|text)$/;

/** Tables whose rows can be written again with another value in one column of the key, which refers to nothing. */
export function targetsOf(shape: Shape): CopyTarget[] {
  return shape.tables.flatMap((table, i) => {
    const referring = shape.links.filter((l) => l.from === i).flatMap((l) => l.columns);
    const own = table.key.find(
      (k) => !referring.includes(k) && NEW.test(table.columns.find((c) => c.name === k)!.type),
    );
    const isNamed = table.key.every((k) => table.columns.find((c) => c.name === k)!.notNull);
    return i > 0 && own !== undefined && isNamed && table.uniques.length === 0 ? [{ table, own }] : [];
  });
}

/** Its name and what it holds; null where there is none to be like. Throws what the database says. */
export async function insertCopy(
  client: Client,
  { table, own }: CopyTarget,
  before: Copy,
  n: number,
  changed: Readonly<Record<string, string>> = {},
): Promise<{ id: string; values: Readonly<Record<string, string | null>> } | null> {
  const rows = before.tables.get(labelOf(table)) ?? [];
  const like = rows[n % Math.max(1, rows.length)];
  if (!like) return null;
  const type = table.columns.find((c) => c.name === own)!.type;
  const values = { ...like.values, [own]: type === 'uuid' ? uuid(n) : String(1_000_000 + n), ...changed };
  const columns = table.columns.map((c) => c.name);
  await client.query(
    `insert into ${tableOf(table)} (${listed(columns)}) values (${columns.map((c) => literal(values[c] ?? null)).join(', ')})`,
  );
  return { id: `${labelOf(table)} ${keyText(table.key.map((k) => values[k] ?? null))}`, values };
}

const uuid = (n: number): string => {
  const r = new Rolls(n, 7);
  return `${r.hex(8)}-${r.hex(4)}-4${r.hex(3)}-9${r.hex(3)}-${r.hex(12)}`;
};
