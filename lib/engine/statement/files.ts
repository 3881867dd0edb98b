/** The files a row names: which go with it, how they are counted, and how they reach the outbox. */

import { name, text } from '../../platform/sql';
import type { Dependant, FileColumn, Policy } from '../../policies/contract';
import { goingFiles } from '../../policies/going';

/** `d` is the dependant's row, `t` the governed one. */
export const belongs = (d: Dependant, policy: Policy): string =>
  d.references.map((column, i) => `d.${name(column)} = t.${name(policy.key[i]!.column)}`).join(' and ');

const named = (alias: string, f: FileColumn): string =>
  `coalesce(${alias}.${name(f.column)}::text, '') <> ''`;

export const filesOf = (alias: string, files: readonly FileColumn[]): string =>
  goingFiles(files)
    .map((f) => `(case when ${named(alias, f)} then 1 else 0 end)`)
    .join(' + ') || '0';

/** The largest file the store takes, 5 TB: what a row says beyond it, or below nothing, is no size. */
const MOST_FILE_BYTES = 5_000_000_000_000;
const sizeOf = (alias: string, f: FileColumn): string => {
  const size = f.bytes && `${alias}.${name(f.bytes)}`;
  return size
    ? `(case when ${size} is not null then least(greatest(${size}::numeric, 0), ${MOST_FILE_BYTES}) end)`
    : 'null';
};

/** Sums stop at the largest number that every reader of them takes (2^53 - 1). */
export const MOST_BYTES = Number.MAX_SAFE_INTEGER;
export const capped = (sum: string): string => `least(${sum}, ${MOST_BYTES})::bigint`;

export const bytesOf = (alias: string, files: readonly FileColumn[]): string =>
  goingFiles(files)
    .filter((f) => f.bytes)
    .map((f) => `(case when ${named(alias, f)} then coalesce(${sizeOf(alias, f)}, 0) else 0 end)`)
    .join(' + ') || '0';

/** A row that went, and what it went with: whoever may hold a file of it. */
export interface Owner {
  readonly alias: string;
  readonly scope: Policy['scope'];
  /** Its key as text. */
  readonly key: string;
}

const subjects = (owners: readonly Owner[], scope: 'organization' | 'user'): string => {
  const columns = owners.flatMap((o) => {
    const column = o.scope[scope];
    return column === undefined ? [] : [`${o.alias}.${name(column)}::text`];
  });
  return columns.length > 0 ? `array_remove(array[${columns.join(', ')}], null)` : `'{}'::text[]`;
};

/** The columns of `returning` that carry a row's files (f0, b0, f1, b1 …) and who may hold them; `owners`: itself, then its parent. */
export const fileColumns = (files: readonly FileColumn[], owners: readonly [Owner, ...Owner[]]): string => {
  const [own, parent] = owners;
  const going = goingFiles(files);
  if (going.length === 0) return '';
  const columns = going.map(
    (f, i) => `, ${own.alias}.${name(f.column)}::text as f${i}, ${sizeOf(own.alias, f)}::bigint as b${i}`,
  );
  const owner = parent ? `, ${parent.key} as owner_key` : '';
  return `${columns.join('')}, ${subjects(owners, 'organization')} as orgs, ${subjects(owners, 'user')} as people${owner}`;
};

/** The columns of an entry that its row decides, in the order of `fileRows`. */
export const ENTRY_COLUMNS =
  'table_name, row_key, url, bytes, organizations, users, owner_table, owner_key, prefix, suffixed';

/** One select per file column, one line per file a deleted row named. */
export const fileRows = (
  relation: string,
  label: string,
  files: readonly FileColumn[],
  /** For a dependant: the table of the row it went with. */
  ownerLabel?: string,
): string[] =>
  goingFiles(files).map(
    (f, i) =>
      `select ${label} as table_name, key::text as key, f${i} as url, b${i} as bytes, orgs, people, ${ownerLabel ? `${ownerLabel}, owner_key` : 'null::text, null::text'},
        ${f.prefix === undefined ? 'null' : text(f.prefix)}::text, ${f.suffixed} from ${relation} where f${i} <> ''`,
  );
