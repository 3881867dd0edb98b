/** What goes with a row of a policy: computed from the declaration alone. */
import { table } from '../platform/sql';
import type { Content, Dependant, FileColumn, Policy } from './contract';
import { strategyOf } from './strategies';

export const goingFiles = (files: readonly FileColumn[]): FileColumn[] =>
  files.filter((f) => f.fate === 'delete');

/** False: they stay, changed, and so do their files; their dependants, unless the strategy takes them along. */
export const rowsLeave = (policy: Policy): boolean => strategyOf(policy).stays === null;

export const ownFiles = (policy: Policy): FileColumn[] => (rowsLeave(policy) ? goingFiles(policy.files) : []);
export const goingDependants = (policy: Policy): Dependant[] =>
  (strategyOf(policy).stays?.takesAlong ?? true) ? policy.dependants.filter((d) => d.fate === 'delete') : [];

/** Those that stay and whose reference the batch itself takes away. */
export const detachedDependants = (policy: Policy): Dependant[] =>
  rowsLeave(policy) ? policy.dependants.filter((d) => d.fate === 'set-null') : [];

/** What the rows refer to, and what goes with the last row that does. */
export const contentsOf = (policy: Policy): readonly Content[] =>
  rowsLeave(policy) ? (policy.contents ?? []) : [];

/** The columns of such a one that become null. */
export const clearedColumns = (d: Dependant): readonly string[] => d.clears ?? d.references;

/** Of rows that stay. */
export const changedColumns = (policy: Policy): string[] =>
  strategyOf(policy).stays?.changes.map(({ column }) => column) ?? [];

/** The column by which rows are known that were changed already; null where they leave. */
export const markOf = (policy: Policy): string | null => strategyOf(policy).stays?.mark ?? null;

/** Triggers of what is deleted from were looked at, but may still keep rows, or put them back. */
export const declaresTriggers = (policy: Policy): boolean =>
  policy.knownTriggers.length > 0 || goingDependants(policy).some(mayStay);

export const mayStay = (d: Dependant): boolean => (d.knownTriggers?.length ?? 0) > 0;

/** Whether its batches hand files to the outbox. */
export const namesFiles = (policy: Policy): boolean =>
  ownFiles(policy).length > 0 ||
  [...goingDependants(policy), ...contentsOf(policy)].some((d) => goingFiles(d.files).length > 0);

/** Rows that keep one another: each sweep frees those that only the rows gone by it referred to. */
export const refersToItself = (policy: Policy): boolean =>
  policy.dependants.some((d) => d.fate !== 'keep' && table(d.table) === table(policy.table));
