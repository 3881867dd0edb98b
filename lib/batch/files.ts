/** The files a row names: which go with it, how they are counted, and how they reach the outbox. */
import type { Dependant, FileColumn, Policy } from '../policies/contract';
import { name } from './sql';

export const goingFiles = (files: readonly FileColumn[]): FileColumn[] =>
  files.filter((f) => f.fate === 'delete');

/** A soft delete leaves the row, and so its files and dependants, until the purge. */
export const ownFiles = (policy: Policy): FileColumn[] =>
  policy.strategy.kind === 'delete' ? goingFiles(policy.files) : [];
export const goingDependants = (policy: Policy): Dependant[] =>
  policy.strategy.kind === 'delete' ? policy.dependants.filter((d) => d.fate === 'delete') : [];

/** Triggers of what is deleted from were looked at, but may still keep rows, or put them back. */
export const declaresTriggers = (policy: Policy): boolean =>
  policy.knownTriggers.length > 0 || goingDependants(policy).some(mayStay);

export const mayStay = (d: Dependant): boolean => (d.knownTriggers?.length ?? 0) > 0;

/** `d` is the dependant's row, `t` the governed one. */
export const belongs = (d: Dependant, policy: Policy): string =>
  d.references.map((column, i) => `d.${name(column)} = t.${name(policy.key[i]!.column)}`).join(' and ');

const named = (alias: string, f: FileColumn): string =>
  `coalesce(${alias}.${name(f.column)}::text, '') <> ''`;

export const filesOf = (alias: string, files: readonly FileColumn[]): string =>
  goingFiles(files)
    .map((f) => `(case when ${named(alias, f)} then 1 else 0 end)`)
    .join(' + ') || '0';

export const bytesOf = (alias: string, files: readonly FileColumn[]): string =>
  goingFiles(files)
    .filter((f) => f.bytes)
    .map((f) => `(case when ${named(alias, f)} then coalesce(${alias}.${name(f.bytes!)}, 0) else 0 end)`)
    .join(' + ') || '0';

/** The columns of `returning` that carry a row's files: f0, b0, f1, b1 … */
export const fileColumns = (alias: string, files: readonly FileColumn[]): string =>
  goingFiles(files)
    .map(
      (f, i) =>
        `, ${alias}.${name(f.column)}::text as f${i}, ${f.bytes ? `${alias}.${name(f.bytes)}` : 'null'}::bigint as b${i}`,
    )
    .join('');

/** One select per file column, one line per file a deleted row named. */
export const fileRows = (relation: string, label: string, files: readonly FileColumn[]): string[] =>
  goingFiles(files).map(
    (_, i) =>
      `select ${label} as table_name, key::text as key, f${i} as url, b${i} as bytes from ${relation} where f${i} <> ''`,
  );
