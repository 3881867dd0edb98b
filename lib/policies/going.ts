/** What goes with a row of a policy: computed from the declaration alone. */
import type { Dependant, FileColumn, Policy } from './contract';

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

/** Whether its batches hand files to the outbox. */
export const namesFiles = (policy: Policy): boolean =>
  ownFiles(policy).length > 0 || goingDependants(policy).some((d) => goingFiles(d.files).length > 0);
