/** The files of rows that go, and how large their columns of sizes say they are. */
import type { Policy } from '../../../policies/contract';
import type { Copy } from './copy';
import { labelOf } from './shape';

/** Of each table the columns that name files which go with their row. */
function going(policy: Policy): Map<string, { column: string; bytes: string | undefined }[]> {
  const columns = new Map<string, { column: string; bytes: string | undefined }[]>();
  for (const { table, files } of [
    policy,
    ...policy.dependants.filter((d) => d.fate === 'delete'),
    ...(policy.contents ?? []),
  ]) {
    const known = columns.get(labelOf(table)) ?? [];
    const more = files.filter((f) => f.fate === 'delete' && !known.some((k) => k.column === f.column));
    columns.set(labelOf(table), [...known, ...more.map(({ column, bytes }) => ({ column, bytes }))]);
  }
  return columns;
}

/** `label key url` of each, and the sum. */
export function handedOver(
  policy: Policy,
  copy: Copy,
  gone: ReadonlySet<string>,
): { files: string[]; bytes: number } {
  const columns = going(policy);
  const named = [...gone].flatMap((id) => {
    const row = copy.rows.get(id)!;
    return (columns.get(row.table) ?? []).flatMap(({ column, bytes }) => {
      const url = row.values[column];
      return url ? [{ file: `${id} ${url}`, bytes: Number((bytes && row.values[bytes]) ?? 0) }] : [];
    });
  });
  return {
    files: named.map((n) => n.file),
    bytes: named.reduce((sum, n) => sum + Math.max(0, n.bytes), 0),
  };
}
