/** What goes with a row of a policy: computed from the declaration alone. */
import { table } from '../platform/sql';
import type { Dependant, FileColumn, Policy } from './contract';
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

/** Rows that keep one another: each sweep frees those that only the rows gone by it referred to. */
export const refersToItself = (policy: Policy): boolean =>
  policy.dependants.some((d) => d.fate !== 'keep' && table(d.table) === table(policy.table));

/** Rows that keep a row here may leave themselves, as rows of the policy or with others: what they kept may go in the same run. */
export function freesRows(policy: Policy): boolean {
  const leaving = new Set([policy, ...goingDependants(policy)].map((p) => table(p.table)));
  return (
    markOf(policy) === null &&
    policy.dependants.some((d) => d.fate === 'block' && leaving.has(table(d.table)))
  );
}
