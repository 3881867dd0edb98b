/**
 * The tables whose rows go with a policy's, as a graph computed from the declaration alone: places (the governed table, and
 * each table that is declared to go, once) and branches (the declared references between them). A table may hang on several
 * places, and on itself.
 */
import type { KeyColumn, TableName } from '../platform/sql';
import type { Dependant, Policy } from './contract';
import { detachedDependants, goingDependants } from './going';
import { parentTable, sameTable } from './hanging';

export interface Place {
  /** 0 is the governed table. */
  readonly n: number;
  readonly table: TableName;
  readonly key: readonly KeyColumn[];
  readonly scope: Policy['scope'];
  readonly files: Policy['files'];
}

/** Rows of `place` that refer to rows of `from`, and go with them. */
export interface Branch {
  readonly declared: Dependant;
  readonly from: Place;
  readonly place: Place;
}

export interface Tree {
  readonly places: readonly Place[];
  readonly branches: readonly Branch[];
  /** Some row may, by references, refer to itself. */
  readonly isCircular: boolean;
  /** A row of the governed table may go with another. */
  readonly takesGoverned: boolean;
  /** A row may be reached in several ways, and so from several governed rows. */
  readonly isForked: boolean;
}

const TREES = new WeakMap<Policy, Tree>();

export function treeOf(policy: Policy): Tree {
  const known = TREES.get(policy);
  if (known) return known;
  const tree = grown(policy);
  TREES.set(policy, tree);
  return tree;
}

function grown(policy: Policy): Tree {
  const going = goingDependants(policy);
  const places: Place[] = [{ n: 0, ...policy }];
  const placeOf = (table: TableName) => places.find((p) => sameTable(p.table, table));
  for (const d of going) if (!placeOf(d.table)) places.push({ ...d, n: places.length });
  const branches = going.map((declared) => ({
    declared,
    from: placeOf(parentTable(declared, policy))!,
    place: placeOf(declared.table)!,
  }));
  const isCircular = places.some((p) => below(branches, p).has(p));
  return {
    places,
    branches,
    isCircular,
    takesGoverned: branches.some((b) => b.place.n === 0),
    isForked: isCircular || new Set(branches.map((b) => b.place)).size < branches.length,
  };
}

/** Every place that is reached from this one. */
function below(branches: readonly Branch[], top: Place): Set<Place> {
  const found = new Set<Place>();
  for (const queue = [top]; queue.length > 0; ) {
    const at = queue.pop();
    for (const { place } of branches.filter((b) => b.from === at)) {
      if (found.has(place)) continue;
      found.add(place);
      queue.push(place);
    }
  }
  return found;
}

/** Those of these dependants that hang on a place. */
export const hangingOn = (policy: Policy, place: Place, these: readonly Dependant[]): Dependant[] =>
  these.filter((d) => sameTable(parentTable(d, policy), place.table));

export const placeOf = (policy: Policy, of: TableName): Place | undefined =>
  treeOf(policy).places.find((p) => sameTable(p.table, of));

/** Whether nothing that a batch does to rows lies below the rows of a place: then they need no lock before they go. */
export function isLeaf(policy: Policy, place: Place): boolean {
  const detached = detachedDependants(policy);
  return (
    place.n > 0 &&
    !treeOf(policy).branches.some((b) => b.from === place) &&
    hangingOn(policy, place, detached).length === 0 &&
    !detached.some((d) => sameTable(d.table, place.table)) &&
    // What they refer to goes with the last of them, so it has to be known which they are.
    !policy.contents?.some((c) => c.referredBy?.some((r) => sameTable(r.table, place.table)))
  );
}
