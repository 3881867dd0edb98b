/** Below which folders files lie that are Lapse's to list and to delete: what the deployed version declares, and nothing else. */
import type { Policy } from '../policies/contract';
import type { Services } from '../services';

export const tablesOf = (policies: readonly Policy[]) =>
  policies.flatMap((p) => [p, ...p.dependants, ...(p.contents ?? [])]);

/** Declared with the columns that name files: nothing outside is ever listed. */
export const prefixesOf = (policies: readonly Policy[]): string[] =>
  [...new Set(tablesOf(policies).flatMap((t) => t.files.flatMap((f) => f.prefix ?? [])))]
    .sort()
    // A prefix below another one is listed with it.
    .filter((prefix, _, all) => !all.some((other) => other !== prefix && prefix.startsWith(other)));

/** Nothing outside is ever deleted, whoever wrote the entry: those of the columns, and of subjects up to their id. */
export const foldersOf = ({ policies, dataMap }: Pick<Services, 'policies' | 'dataMap'>): string[] => [
  ...prefixesOf(policies),
  ...dataMap.flatMap((t) => (t.files ?? []).map((folder) => folder.split('{id}')[0]!)),
];
