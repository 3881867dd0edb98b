/** What a scan compares with the store: the columns that name files. */
import type { Policy } from '../../policies/contract';
import type { FileSource } from '../finding';
import { tablesOf } from '../folders';

export const sourcesOf = (policies: readonly Policy[]): FileSource[] => {
  const all = tablesOf(policies).flatMap((t) =>
    t.files.map((f) => ({ table: t.table, key: t.key, column: f.column })),
  );
  return [...new Map(all.map((s) => [JSON.stringify([s.table, s.column]), s])).values()];
};
