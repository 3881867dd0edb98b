/**
 * Which tables an erasure reaches, and how: from what names the subject, along foreign keys of any depth, to a fixpoint, so
 * that cycles end. Whatever a reference leads to has to be decided: what is not is a problem with the line to add, and the
 * erasure is refused.
 */
import type { Problem } from '../../platform/errors';
import type { TableInput } from '../../policies/data-map-contract';
import { inputOf, lineOf } from '../../policies/data-map-line';
import type { Subject } from '../subject';
import type { Catalog, Reference } from './catalog';
import {
  type Action,
  declaredAs,
  detachedIn,
  detaches,
  handlingOf,
  isUndecided,
  type Node,
  type Nodes,
} from './nodes';
import type { Seed } from './seeds';

/** A table with rows of the subject. */
export interface Reached {
  readonly node: Node;
  /** How a row names the subject by itself. */
  readonly seeds: Seed[];
  /** References to reached rows by which a row is reached, too. */
  readonly through: Reference[];
  /** Every such reference is declared by the policy of what it refers to: these rows go in its batches. */
  goesAlong: boolean;
}

/** Rows of others, which lose a reference. */
export interface Detached {
  readonly node: Node;
  readonly columns: readonly string[];
  /** By naming the subject itself, or by a reference to reached rows. */
  readonly by: Seed | Reference;
}

export interface Edges {
  readonly reached: ReadonlyMap<string, Reached>;
  readonly detached: readonly Detached[];
  readonly problems: readonly Problem[];
}

type Verdict = 'reached' | 'along' | 'detached' | 'nothing' | Problem;

export class Walker {
  readonly reached = new Map<string, Reached>();
  readonly detached: Detached[] = [];
  readonly problems: Problem[] = [];

  constructor(
    private readonly nodes: Nodes,
    private readonly catalog: Catalog,
    private readonly subject: Subject,
  ) {}

  /** `seeds`: of every table that names the subject. */
  walk(seeds: ReadonlyMap<string, readonly Seed[]>): Edges {
    for (const [label, own] of seeds) for (const seed of own) this.#byName(this.nodes.get(label)!, seed);
    for (const { node } of this.reached.values()) this.#from(node);
    return this;
  }

  #reach(node: Node): Reached {
    const known = this.reached.get(node.label);
    if (known) return known;
    const reached: Reached = { node, seeds: [], through: [], goesAlong: true };
    this.reached.set(node.label, reached);
    return reached;
  }

  /** The subject's own row, and rows with its name in them. */
  #byName(node: Node, seed: Seed): void {
    const verdict = seed.columns.length === 0 ? ownRow(node) : named(node, seed, this.#subjectGoes());
    if (verdict === 'detached') this.detached.push({ node, columns: seed.columns, by: seed });
    else if (typeof verdict === 'object') this.problems.push(verdict);
    else if (verdict === 'reached') {
      const reached = this.#reach(node);
      reached.seeds.push(seed);
      reached.goesAlong = false;
    }
  }

  /** By its own decision, or along with what it hangs on. */
  #goes({ label, action }: Node): boolean {
    return action === 'delete' || (action === null && this.reached.get(label)!.goesAlong);
  }

  #subjectGoes(): boolean {
    return [...this.nodes.values()].some(
      (n) => n.line?.subject === this.subject.scope && n.action === 'delete',
    );
  }

  /** Whatever refers to the rows of a reached table; a row of a map's iteration that is added is walked too. */
  #from(to: Node): void {
    for (const r of this.catalog.references.filter((x) => x.to === to.label)) {
      if (this.#isName(r)) continue;
      const from = this.nodes.get(r.from)!;
      const verdict = referring(from, r, to, this.#goes(to));
      if (verdict === 'detached')
        this.detached.push({ node: from, columns: detachedIn(from, r.columns), by: r });
      else if (typeof verdict === 'object') this.problems.push(verdict);
      else if (verdict === 'reached' || verdict === 'along') {
        const reached = this.#reach(from);
        reached.through.push(r);
        if (verdict === 'reached') reached.goesAlong = false;
      }
    }
  }

  /** By the subject's id itself, which a seed has. */
  #isName(r: Reference): boolean {
    const to = this.nodes.get(r.to)!;
    return (
      to.line?.subject === this.subject.scope &&
      to.table.key.length === 1 &&
      r.to_columns.join() === to.table.key[0]
    );
  }
}

const ownRow = (node: Node): Verdict =>
  isUndecided(node)
    ? {
        problem: `${node.label} has no decision, and its rows are such subjects`,
        remedy: 'say policy, permanent, kept or technical instead of undecided in its line',
      }
    : 'reached';

/** A row that names the subject. */
function named(node: Node, seed: Seed, subjectGoes: boolean): Verdict {
  const { columns } = seed;
  if (isUndecided(node)) return undecided(node, columns, `names the subject (${seed.words})`);
  if (detaches(node, columns)) return 'detached';
  const handling = handlingOf(node, columns);
  if (node.line?.subject) {
    // Another subject's row: it loses the name, and nothing else of it is touched.
    if (handling?.kind === 'mask') return 'detached';
    return subjectGoes
      ? undecided(node, columns, 'names the subject, and its rows are other subjects', ['detach'])
      : 'nothing';
  }
  if (handling !== null || node.action === 'delete') return 'reached';
  return undecided(node, columns, `names the subject (${seed.words}), and the column has no handling`);
}

/** A row that refers to one that was reached. */
function referring(from: Node, r: Reference, to: Node, goes: boolean): Verdict {
  const why = `refers to ${to.label}, whose rows ${goes ? 'go' : 'are the subject’s'}`;
  if (isUndecided(from)) return undecided(from, r.columns, why);
  if (detaches(from, r.columns)) return goes ? 'detached' : 'nothing';
  if (from.line?.subject) return goes ? undecided(from, r.columns, why, ['detach']) : 'nothing';
  const handling = handlingOf(from, r.columns);
  if (handling?.kind === 'retain' && goes) {
    return {
      problem: `${from.label}.${r.columns.join(', ')} is retained, and ${why}`,
      remedy: `mask it with null, or retain ${to.label} as well`,
    };
  }
  if (handling) return 'reached';
  return unhandled(from, r, { to, goes, why });
}

/** A reference whose columns the map does not speak of: what the policy or the database declares, or nobody has decided. */
function unhandled(
  from: Node,
  r: Reference,
  { to, goes, why }: { to: Node; goes: boolean; why: string },
): Verdict {
  const declared = goes ? declaredAs(to, r) : null;
  if (declared === 'delete') return 'along';
  if (declared === 'keep' || declared === 'set-null') return 'nothing';
  if (from.action === 'delete' && goes && r.on_delete === 'c') return 'reached';
  if (from.action === null && (!goes || r.on_delete === 'n' || r.on_delete === 'd')) return 'nothing';
  return undecided(from, r.columns, `${why}, and the column has no handling`);
}

/** With the lines that would decide it: the reference deletes the row, or the row is someone else's. */
function undecided(
  node: Node,
  columns: readonly string[],
  why: string,
  ways: readonly ('delete' | 'mask' | 'detach')[] = waysOf(node.action),
): Problem {
  const list = columns.join(', ');
  const lines = ways.map((way) => lineOf(node.label, withColumns(node, columns, way)).trim());
  return {
    problem: `${node.label}${list && ` (${list})`} ${why}`,
    remedy: `write in lib/policies/data-map.ts ${lines.join(' or, where such rows are someone else’s, ')}`,
  };
}

const waysOf = (action: Action): ('delete' | 'mask' | 'detach')[] =>
  action === 'mask' || action === 'retain' ? ['mask', 'detach'] : ['delete', 'detach'];

function withColumns(node: Node, columns: readonly string[], way: 'delete' | 'mask' | 'detach'): TableInput {
  const line = node.line ? inputOf(node.line) : {};
  const { undecided: _, ...rest } = line;
  const decided: TableInput = Object.keys(rest).some((k) => DECIDED.includes(k))
    ? rest
    : { kept: '… say why, or name its policy', ...rest };
  if (way === 'detach') return { ...decided, detach: [...(decided.detach ?? []), ...columns] };
  const there = decided.confidential ?? {};
  return {
    ...decided,
    confidential:
      way === 'delete'
        ? { ...there, delete: [...(there.delete ?? []), ...columns] }
        : { ...there, mask: { ...there.mask, ...Object.fromEntries(columns.map((c) => [c, null])) } },
  };
}

const DECIDED: readonly string[] = ['policy', 'permanent', 'kept', 'technical'];
