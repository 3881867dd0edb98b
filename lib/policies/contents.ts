/**
 * What refers to a content: references of rows that leave, or lose them, let it go with the last of them; all others keep it
 * here. Computed from the declaration alone.
 */
import type { TableName } from '../platform/sql';
import type { Content, Policy } from './contract';
import { goingDependants, goingFiles, ownFiles, rowsLeave } from './going';
import { sameTable } from './hanging';
import { strategyOf } from './strategies';
import { type Place, placeOf, treeOf } from './tree';

/** Columns by which rows of a table refer to a content, in the order of its key. */
export interface Referring {
  readonly table: TableName;
  readonly columns: readonly string[];
}
/** The same of rows that are looked at by a batch. */
export interface LettingGo {
  readonly place: Place;
  readonly columns: readonly string[];
}

const own = (policy: Policy, content: Content): Referring[] =>
  content.references.map((columns) => ({ table: policy.table, columns }));
const ofDependants = (content: Content): readonly Referring[] => content.referredBy ?? [];

/** Rows that stay let go of what they refer to where the reference itself is taken away. */
const letsGoOwn = (policy: Policy, columns: readonly string[]): boolean =>
  rowsLeave(policy) || (strategyOf(policy).stays?.empties ?? []).some((c) => columns.includes(c));

/** References that end with a batch. */
export function ending(policy: Policy, content: Content): LettingGo[] {
  const governed = treeOf(policy).places[0]!;
  const going = goingDependants(policy);
  return [
    ...own(policy, content)
      .filter((r) => letsGoOwn(policy, r.columns))
      .map(({ columns }) => ({ place: governed, columns })),
    ...ofDependants(content)
      .filter((r) => going.some((d) => sameTable(d.table, r.table)))
      .map(({ table, columns }) => ({ place: placeOf(policy, table)!, columns })),
  ];
}

/** References that keep a content here as long as their rows are there. */
export const staying = (policy: Policy, content: Content): Referring[] => {
  const going = goingDependants(policy);
  return [
    ...content.sharedWith,
    ...own(policy, content).filter((r) => !letsGoOwn(policy, r.columns)),
    ...ofDependants(content).filter((r) => !going.some((d) => sameTable(d.table, r.table))),
  ];
};

/** What the rows refer to, and what goes with the last row that does. */
export const contentsOf = (policy: Policy): readonly Content[] =>
  (policy.contents ?? []).filter((content) => ending(policy, content).length > 0);

/** Whether its batches hand files to the outbox. */
export const namesFiles = (policy: Policy): boolean =>
  ownFiles(policy).length > 0 ||
  [...goingDependants(policy), ...contentsOf(policy)].some((d) => goingFiles(d.files).length > 0);
