/** What refers to what in a copy: declared branches of a policy, and the foreign keys there are. */
import type { Policy } from '../../../policies/contract';
import type { CopiedRow, Copy } from './copy';
import { labelOf } from './shape';

export interface Edge {
  readonly from: string;
  readonly columns: readonly string[];
  readonly to: string;
  readonly targets: readonly string[];
}

export type Dependant = Policy['dependants'][number] & {
  /** What it hangs on; the governed table unless given. */
  readonly via?: { readonly schema: string; readonly name: string } | undefined;
  /** The columns there; that table's key unless given. */
  readonly refersTo?: readonly string[] | undefined;
};

export function edgeOf(policy: Policy, d: Dependant): Edge {
  const to = labelOf(d.via ?? policy.table);
  const there = [
    { table: policy.table, key: policy.key },
    ...(policy.dependants as readonly Dependant[]),
  ].find((x) => labelOf(x.table) === to);
  return {
    from: labelOf(d.table),
    columns: d.references,
    to,
    targets: d.refersTo ?? there?.key.map((k) => k.column) ?? [],
  };
}

/** The same columns lead to the same columns, in whatever order they stand. */
export const nameOf = (e: Edge): string =>
  JSON.stringify([e.from, e.to, e.columns.map((c, i) => [c, e.targets[i]]).sort()]);

export const distinct = (edges: readonly Edge[]): Edge[] => [
  ...new Map(edges.map((e) => [nameOf(e), e])).values(),
];

/** Rows by what they refer to, so that each question is one look. */
export class References {
  readonly #by = new Map<string, CopiedRow[]>();

  constructor(
    readonly edge: Edge,
    copy: Copy,
  ) {
    for (const row of copy.tables.get(edge.from) ?? []) {
      const to = valuesOf(row, edge.columns);
      if (to !== null) this.#by.set(to, [...(this.#by.get(to) ?? []), row]);
    }
  }

  /** Empty for a row of another table. */
  to(row: CopiedRow): readonly CopiedRow[] {
    const key = row.table === this.edge.to ? valuesOf(row, this.edge.targets) : null;
    return key === null ? [] : (this.#by.get(key) ?? []);
  }
}

/** One text for all of them; null where one is. */
function valuesOf(row: CopiedRow, columns: readonly string[]): string | null {
  const values = columns.map((c) => row.values[c] ?? null);
  return values.includes(null) ? null : JSON.stringify(values);
}
