/**
 * What must happen to a copy of a database under a policy, by rules written here a second time: which rows go, which stay
 * and why, and what becomes of those that referred to them. Knows nothing of the engine.
 *
 * A row that is old enough takes along whatever is declared to go with it, at any depth. All of it goes, or none: not while
 * anything of it is held, extended or set aside, nor while anything refers to it that keeps it. What waits for others goes
 * once they are gone. A row that is masked or marked stays, changed, and takes along what its strategy says.
 */
import type { Policy } from '../../../policies/contract';
import { type CopiedRow, type Copy, type ForeignKey, keyText } from './copy';
import { cutoffOf, isBeforeAll, isDue, type Judged } from './due';
import { type Dependant, distinct, type Edge, edgeOf, nameOf, References } from './graph';
import { isKeptByLater } from './later';
import { maskedValues } from './masks';
import { labelOf } from './shape';
import { type Spared, sparedRows } from './spared';
import { KEPT_EVERY } from './triggers';
import { Contents } from './with-last';

export const REASONS = [
  'held',
  'extended',
  'dead_letter',
  'referenced',
  'condition',
  'newest',
  'one_of_period',
] as const;
type Reason = (typeof REASONS)[number] | 'not_expired' | 'no clock';

/** Rows that left, and governed rows that stay and were changed. */
export interface Ending {
  readonly gone: ReadonlySet<string>;
  readonly changed: ReadonlySet<string>;
}

export interface Judgment {
  /** Governed rows past their cutoff or without one, each with why it stays as things are; null: it may go at once. */
  readonly first: ReadonlyMap<string, Reason | null>;
  /** Rows that would go along with those that may go at once, by their table. */
  readonly firstAlong: Readonly<Record<string, number>>;
  /** References that would be taken away, by the table of the rows that have them. */
  readonly firstDetached: Readonly<Record<string, number>>;
  /** Nothing waits and nothing fails: all goes in one pass. */
  readonly isPlain: boolean;
  /** Governed rows that only go together with one another: how many of them go depends on the batch. */
  readonly either: ReadonlySet<string>;
  /** In the end, with rows of `either` that went. */
  readonly ending: (went: readonly string[]) => Ending;
}

export interface Judging extends Judged {
  /** `label trigger` of those that keep every fourth row, with the column that counts. */
  readonly keepers: ReadonlyMap<string, string>;
}

interface LettingGo {
  readonly references: References;
  /** Columns that become null. */
  readonly sets: readonly string[];
  /** The batch does it, and names the row; else the foreign key does. */
  readonly isNamed: boolean;
}

export class Oracle {
  readonly #copy: Copy;
  readonly #policy: Policy;
  /** Masked and marked rows stay. */
  readonly #leaves: boolean;
  readonly #along: readonly References[];
  readonly #cascades: readonly References[];
  readonly #block: readonly References[];
  readonly #refusing: readonly References[];
  readonly #lets: readonly LettingGo[];
  readonly #spared: ReadonlyMap<string, Spared>;
  readonly #kept: (row: CopiedRow) => boolean;
  readonly #contents: Contents;

  constructor(private readonly j: Judging) {
    const { copy, policy, keepers } = j;
    this.#copy = copy;
    this.#policy = policy;
    this.#spared = sparedRows(j);
    this.#contents = new Contents(policy, copy);
    const { strategy } = policy;
    this.#leaves = strategy.kind !== 'mask' && strategy.kind !== 'soft-delete';
    const takes = this.#leaves || ('dependants' in strategy && strategy.dependants === 'go');
    const index = (edge: Edge) => new References(edge, copy);
    const those = (fate: string) =>
      (policy.dependants as readonly Dependant[]).filter((d) => d.fate === fate);
    const declared = (fate: string) => distinct(those(fate).map((d) => edgeOf(policy, d)));
    const keys = (...actions: string[]) => distinct(copy.keys.filter((k) => actions.includes(k.action)));
    this.#along = takes ? declared('delete').map(index) : [];
    // What a cascade takes goes, whoever declared it.
    this.#cascades = keys('c').map(index);
    this.#block = declared('block').map(index);
    const cleared = this.#leaves ? those('set-null') : [];
    const detached = new Set(cleared.map((d) => nameOf(edgeOf(policy, d))));
    this.#refusing = keys('a', 'r')
      .filter((e) => !detached.has(nameOf(e)))
      .map(index);
    this.#lets = [
      ...cleared.map((d) => ({
        references: index(edgeOf(policy, d)),
        sets: d.clears ?? d.references,
        isNamed: true,
      })),
      ...copy.keys
        .filter((k) => (k.action === 'n' || k.action === 'd') && !detached.has(nameOf(k)))
        .map((key: ForeignKey) => ({ references: index(key), sets: key.sets, isNamed: false })),
    ];
    const counting = [...keepers].filter(([id]) => copy.triggers.has(id));
    this.#kept = (row) =>
      counting.some(
        ([id, column]) =>
          id.startsWith(`${row.table} `) && Number(row.values[column] ?? 1) % KEPT_EVERY === 0,
      );
  }

  judge(): Judgment {
    const nobody: ReadonlySet<string> = new Set();
    const governed = this.#copy.tables.get(labelOf(this.#policy.table)) ?? [];
    // By an index of rows for which `where` is true no others are found.
    const isFound = (row: CopiedRow) => row.condition || !this.#policy.whereIndexed;
    const roots = governed.filter((row) => isDue(row, this.j) && isFound(row));
    const first = new Map(roots.map((row) => [row.id, this.#whyStays(row, nobody)]));
    for (const row of governed.filter((r) => isBeforeAll(r, this.j) && isFound(r)))
      first.set(row.id, this.#whyStays({ ...row, condition: true }, nobody) ?? 'no clock');
    const free = roots.filter((row) => first.get(row.id) === null);
    const gone = new Set<string>();
    const went = new Set<string>();
    let isPlain = free.every((row) => !this.#fails(this.#closure(row), nobody, nobody));
    const waiting = new Set(roots);
    for (let more = true; more; ) {
      more = false;
      for (const row of waiting) {
        const closure = this.#closure(row);
        // A row that went along with another is no row of its own any more.
        const isTaken = gone.has(row.id);
        if (!isTaken && (this.#whyStays(row, gone) !== null || this.#fails(closure, gone, closure))) continue;
        for (const id of closure) gone.add(id);
        went.add(row.id);
        waiting.delete(row);
        if (first.get(row.id) !== null || isTaken) isPlain = false;
        more = true;
      }
    }
    const either = this.#together(
      [...waiting].filter((row) => this.#whyStays(row, gone) === null),
      gone,
    );
    return {
      first,
      firstAlong: this.#goingWith(free),
      firstDetached: this.#detachedFrom(free),
      isPlain: isPlain && either.size === 0,
      either,
      ending: (also) => {
        const changed = new Set(this.#leaves ? [] : [...went, ...also]);
        const rows = new Set([
          ...gone,
          ...also.flatMap((id) => [...this.#closure(this.#copy.rows.get(id)!)]),
        ]);
        return { gone: new Set([...rows, ...this.#contents.gone(rows, changed)]), changed };
      },
    };
  }

  /** Every row as it must be then; a value that only the run knows is undefined. */
  after({ gone, changed }: Ending): Map<string, Readonly<Record<string, string | null | undefined>>> {
    const left = new Map<string, Record<string, string | null | undefined>>();
    for (const row of this.#copy.rows.values()) {
      if (!gone.has(row.id))
        left.set(row.id, {
          ...row.values,
          ...(changed.has(row.id) ? maskedValues(this.#policy, row.values) : {}),
        });
    }
    const masks = (id: string, column: string) =>
      changed.has(id) && maskedValues(this.#policy, this.#copy.rows.get(id)!.values)[column] === null;
    for (const id of gone) {
      for (const { references, sets } of this.#lets) {
        for (const child of references.to(this.#copy.rows.get(id)!)) {
          const values = left.get(child.id);
          // A row that was masked refers to it no longer: no foreign key acts on it.
          const hasLetGo = references.edge.columns.some((column) => masks(child.id, column));
          for (const column of hasLetGo ? [] : sets) if (values) values[column] = null;
        }
      }
    }
    return left;
  }

  /** `label key` of every row that stays and of which the batch took a reference away, once a reference. */
  detached({ gone }: Ending): string[] {
    return this.#lets
      .filter((l) => l.isNamed)
      .flatMap(({ references }) =>
        [...gone].flatMap((id) => references.to(this.#copy.rows.get(id)!).filter((row) => !gone.has(row.id))),
      )
      .map((row) => row.id);
  }

  /** Rows that leave with it; itself only where it does. `isOwn`: none through another governed row, which has its own. */
  #closure(root: CopiedRow, isOwn = false): Set<string> {
    const found = new Set<string>(this.#leaves ? [root.id] : []);
    for (const queue = [root]; queue.length > 0; ) {
      const row = queue.pop()!;
      const isStaying = row === root && !this.#leaves;
      for (const references of isStaying ? this.#along : [...this.#along, ...this.#cascades]) {
        for (const child of references.to(row)) {
          if (found.has(child.id) || (isOwn && child.table === root.table)) continue;
          found.add(child.id);
          queue.push(child);
        }
      }
    }
    return found;
  }

  #whyStays(root: CopiedRow, gone: ReadonlySet<string>): Reason | null {
    const closure = new Set([root.id, ...this.#closure(root)]);
    const rows = [...closure].filter((id) => !gone.has(id)).map((id) => this.#copy.rows.get(id)!);
    // A held row is not changed either.
    const changed = this.#lets
      .filter((l) => l.isNamed)
      .flatMap((l) => rows.flatMap((row) => l.references.to(row)));
    // What would go with its last reference is looked at as if each were the last.
    const all = [...rows, ...this.#contents.of(rows)];
    if ([...all, ...changed].some((row) => !gone.has(row.id) && this.#isHeld(row))) return 'held';
    if (all.some((row) => this.#copy.extended.has(row.id))) return 'extended';
    if (all.some((row) => this.#copy.lettered.has(row.id))) return 'dead_letter';
    const isBlocked = this.#block.some((r) => rows.some((row) => r.to(row).some((d) => !gone.has(d.id))));
    // A governed row below it goes only where it may itself.
    const mayGo = (row: CopiedRow) =>
      isDue(row, this.j) && row.condition && !this.#spared.has(row.id) && !this.#isYoung(row, gone);
    // So is the row itself where it is below itself: it refers to itself, over others or not.
    const isBelowItself = [...this.#along, ...this.#cascades].some((r) =>
      rows.some((row) => r.to(row).some((d) => d.id === root.id)),
    );
    const waits = rows.some(
      (row) => (row.id !== root.id || isBelowItself) && row.table === root.table && !mayGo(row),
    );
    if (isBlocked || waits) return 'referenced';
    if (this.#isYoung(root, gone)) return 'not_expired';
    if (!root.condition) return 'condition';
    return this.#spared.get(root.id) ?? null;
  }

  /** Another row that counts as its clock is not old enough. */
  #isYoung(row: CopiedRow, gone: ReadonlySet<string>): boolean {
    const cutoff = cutoffOf(row, this.j);
    return cutoff !== null && isKeptByLater(row, this.j, cutoff, gone);
  }

  #isHeld(row: CopiedRow): boolean {
    const { table, key, scope, dependants } = this.#policy;
    const isGoverned = row.table === labelOf(table);
    const scopes = [
      ...(isGoverned ? [scope] : []),
      ...dependants
        .filter((d) => ['delete', 'set-null'].includes(d.fate) && labelOf(d.table) === row.table)
        .map((d) => d.scope),
      ...(this.#contents.scopes.has(row.table) ? [this.#contents.scopes.get(row.table)!] : []),
    ];
    return this.#copy.holds.some((h) => {
      if (h.scope === 'item') {
        const own = isGoverned ? keyText(key.map((k) => row.values[k.column] ?? null)) : row.key;
        return h.table === row.table && h.subject === own;
      }
      return scopes.some((s) => {
        const column = h.scope === 'organization' ? s.organization : s.user;
        return column !== undefined && row.values[column] === h.subject;
      });
    });
  }

  /** The database refuses: something that stays refers to it and keeps it, cannot let go of it, or a trigger keeps a row. */
  #fails(closure: ReadonlySet<string>, gone: ReadonlySet<string>, also: ReadonlySet<string>): boolean {
    const stays = (row: CopiedRow) => !gone.has(row.id) && !closure.has(row.id) && !also.has(row.id);
    return [...closure].some((id) => {
      const row = this.#copy.rows.get(id)!;
      if (gone.has(id)) return false;
      if (this.#kept(row)) return true;
      const isRefused = this.#refusing.some((r) => r.to(row).some(stays));
      const clings = this.#lets.some(
        ({ references, sets }) =>
          sets.some((c) => this.#copy.notNull.has(`${references.edge.from}.${c}`)) &&
          references.to(row).some(stays),
      );
      return isRefused || clings;
    });
  }

  /** The most rows that can go if all of them go at once. */
  #together(roots: readonly CopiedRow[], gone: ReadonlySet<string>): Set<string> {
    let left = [...roots];
    for (let before = -1; before !== left.length; ) {
      before = left.length;
      const all = new Set(left.flatMap((row) => [...this.#closure(row)]));
      left = left.filter((row) => !this.#fails(this.#closure(row), gone, all));
    }
    return new Set(left.map((row) => row.id));
  }

  /** What goes with rows of one rule, and of one partition; a row that hangs on several is counted with each of them. */
  #walks(roots: readonly CopiedRow[]): Set<string>[] {
    const walks = new Map<string, Set<string>>();
    for (const root of roots) {
      const walk = `${labelOfRule(root, this.#policy)} ${root.leaf}`;
      const ids = walks.get(walk) ?? new Set<string>();
      for (const id of this.#closure(root, true)) ids.add(id);
      walks.set(walk, ids);
    }
    return [...walks.values()];
  }

  /** Rows that go along, each once, by their table. */
  #goingWith(roots: readonly CopiedRow[]): Record<string, number> {
    const ids = new Set(roots.flatMap((root) => [...this.#closure(root)]));
    const contents = this.#contents.gone(ids, new Set(this.#leaves ? [] : roots.map((r) => r.id)));
    const rows = [...ids, ...contents].map((id) => this.#copy.rows.get(id)!);
    return counted(rows.filter((row) => row.table !== labelOf(this.#policy.table)));
  }

  /** References that are taken away, by the table of the rows that have them; a dependant that goes itself has none. */
  #detachedFrom(roots: readonly CopiedRow[]): Record<string, number> {
    const governed = labelOf(this.#policy.table);
    const named = this.#lets.filter((l) => l.isNamed);
    return counted(
      this.#walks(roots).flatMap((ids) =>
        [...ids].flatMap((id) =>
          named
            .flatMap((l) => l.references.to(this.#copy.rows.get(id)!))
            .filter((row) => row.table === governed || !ids.has(row.id)),
        ),
      ),
    );
  }
}

function counted(rows: readonly CopiedRow[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { table } of rows) counts[table] = (counts[table] ?? 0) + 1;
  return counts;
}

/** Tenants are walked one after the other whatever their rule. */
const labelOfRule = (row: CopiedRow, { rules, tenants }: Policy): string =>
  tenants
    ? ''
    : (rules.find((r) => Object.entries(r.match).every(([c, value]) => row.values[c] === String(value)))
        ?.label ?? '');
