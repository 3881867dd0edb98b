/** What goes with its last reference: which rows refer to it, and what is left of it once some of these are gone. */
import type { Policy } from '../../../policies/contract';
import type { CopiedRow, Copy } from './copy';
import { type Edge, References } from './graph';
import { labelOf } from './shape';

type Scope = Policy['scope'];

interface Referred {
  readonly row: CopiedRow;
  /** Rows of tables whose rows go. */
  readonly by: readonly CopiedRow[];
  /** Rows of all others. */
  readonly also: readonly CopiedRow[];
}

const leaves = ({ strategy: { kind } }: Policy): boolean => kind === 'delete' || kind === 'archive';
const takesAlong = (policy: Policy): boolean =>
  leaves(policy) || ('dependants' in policy.strategy && policy.strategy.dependants === 'go');
/** A masked row refers to nothing by a column that becomes null. */
const emptied = ({ strategy }: Policy): string[] =>
  strategy.kind === 'mask' ? strategy.columns.filter((c) => c.to === null).map((c) => c.column) : [];

export class Contents {
  readonly #all: readonly Referred[];
  readonly #of = new Map<string, CopiedRow[]>();
  /** By which columns a hold finds a row of these tables. */
  readonly scopes: ReadonlyMap<string, Scope>;

  constructor(policy: Policy, copy: Copy) {
    const contents = policy.contents ?? [];
    this.scopes = new Map(contents.map((c) => [labelOf(c.table), c.scope]));
    this.#all = contents.flatMap((content) => {
      const to = labelOf(content.table);
      const targets = content.key.map((k) => k.column);
      const among = (edges: Omit<Edge, 'to' | 'targets'>[]) =>
        edges.map((e) => new References({ ...e, to, targets }, copy));
      const governed = content.references.map((columns) => ({ from: labelOf(policy.table), columns }));
      const below = (content.referredBy ?? []).map((r) => ({ from: labelOf(r.table), columns: r.columns }));
      const shared = content.sharedWith.map((s) => ({ from: labelOf(s.table), columns: s.columns }));
      const isFreed = ({ columns }: Pick<Edge, 'columns'>) =>
        leaves(policy) || columns.some((c) => emptied(policy).includes(c));
      const [ends, lasts] = takesAlong(policy) ? [below, []] : [[], below];
      const own = among([...governed.filter(isFreed), ...ends]);
      const other = among([...shared, ...governed.filter((e) => !isFreed(e)), ...lasts]);
      return (copy.tables.get(to) ?? []).map((row) => ({
        row,
        by: own.flatMap((r) => r.to(row)),
        also: other.flatMap((r) => r.to(row)),
      }));
    });
    for (const { row, by } of this.#all)
      for (const { id } of by) this.#of.set(id, [...(this.#of.get(id) ?? []), row]);
  }

  /** What these rows refer to. */
  of(rows: readonly CopiedRow[]): CopiedRow[] {
    return rows.flatMap((row) => this.#of.get(row.id) ?? []);
  }

  /** Those that went with these rows, gone or without their reference: one of them referred to it, and nothing does any more. */
  gone(rows: ReadonlySet<string>, changed: ReadonlySet<string>): string[] {
    const isOver = ({ id }: CopiedRow) => rows.has(id) || changed.has(id);
    return this.#all
      .filter(({ by, also }) => by.some(isOver) && by.every(isOver) && also.every((r) => rows.has(r.id)))
      .map(({ row }) => row.id);
  }
}
