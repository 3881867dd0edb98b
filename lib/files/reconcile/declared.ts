/** What a scan compares: the prefixes below which the policies' files lie, and the columns that name them. */
import type { Policy } from '../../policies/contract';
import type { FileSource } from '../finding';

const tablesOf = (policies: readonly Policy[]) =>
  policies.flatMap((p) => [p, ...p.dependants, ...(p.contents ?? [])]);

/** Declared with the columns that name files: nothing outside is ever listed. */
export const prefixesOf = (policies: readonly Policy[]): string[] =>
  [...new Set(tablesOf(policies).flatMap((t) => t.files.flatMap((f) => f.prefix ?? [])))]
    .sort()
    // A prefix below another one is listed with it.
    .filter((prefix, _, all) => !all.some((other) => other !== prefix && prefix.startsWith(other)));

export const sourcesOf = (policies: readonly Policy[]): FileSource[] => {
  const all = tablesOf(policies).flatMap((t) =>
    t.files.map((f) => ({ table: t.table, key: t.key, column: f.column })),
  );
  return [...new Map(all.map((s) => [JSON.stringify([s.table, s.column]), s])).values()];
};
