/**
 * What must happen to a copy of a database under a policy, by rules written here a second time: which rows go, which stay
 * and why, what becomes of those that referred to them, and which files are handed over. Knows nothing of the engine.
 *
 * A row that is old enough takes along whatever is declared to go with it, at any depth. All of it goes, or none: not while
 * anything of it is held, extended or set aside, nor while anything refers to it that keeps it. What waits for others goes
 * once they are gone.
 */
import type { Policy } from '../../../policies/contract';
import { type CopiedRow, type Copy, type ForeignKey, keyText } from './copy';
import { labelOf } from './shape';
import { KEPT_EVERY } from './triggers';

export const REASONS = ['held', 'extended', 'dead_letter', 'referenced', 'condition'] as const;
export type Reason = (typeof REASONS)[number] | 'no clock';

export interface Judgment {
  /** Governed rows past their cutoff or without one, each with why it stays as things are; null: it may go at once. */
  readonly first: ReadonlyMap<string, Reason | null>;
  /** Rows that would go along with those that may go at once, by their table. */
  readonly firstAlong: Readonly<Record<string, number>>;
  /** Nothing waits and nothing fails: all goes in one pass. */
  readonly isPlain: boolean;
  /** In the end. */
  readonly gone: ReadonlySet<string>;
  /** Governed rows that only go together with one another: how many of them go depends on the batch. */
  readonly either: ReadonlySet<string>;
  /** With rows of `either` that went. */
  readonly with: (roots: readonly string[]) => ReadonlySet<string>;
}

interface Edge {
  readonly from: string;
  readonly columns: readonly string[];
  readonly to: string;
  readonly targets: readonly string[];
}

export interface Judging {
  readonly copy: Copy;
  readonly policy: Policy;
  readonly at: Date;
  /** `label trigger` of those that keep every fourth row, with the column that counts. */
  readonly keepers: ReadonlyMap<string, string>;
}

/** Rows by what they refer to, so that each question is one look. */
class References {
  readonly #by = new Map<string, CopiedRow[]>();

  constructor(
    readonly edge: Edge,
    rows: readonly CopiedRow[],
  ) {
    for (const row of rows) {
      const to = valuesOf(row, edge.columns);
      if (to !== null) this.#by.set(to, [...(this.#by.get(to) ?? []), row]);
    }
  }

  to(row: CopiedRow): readonly CopiedRow[] {
    const key = valuesOf(row, this.edge.targets);
    return key === null ? [] : (this.#by.get(key) ?? []);
  }
}

/** One text for all of them; null where one is. */
const valuesOf = (row: CopiedRow, columns: readonly string[]): string | null => {
  const values = columns.map((c) => row.values[c] ?? null);
  return values.includes(null) ? null : JSON.stringify(values);
};

export class Oracle {
  readonly #copy: Copy;
  readonly #policy: Policy;
  readonly #at: bigint;
  readonly #along: readonly References[];
  readonly #block: readonly References[];
  readonly #refusing: readonly References[];
  readonly #lets: readonly { references: References; key: ForeignKey }[];
  readonly #kept: (row: CopiedRow) => boolean;

  constructor({ copy, policy, at, keepers }: Judging) {
    this.#copy = copy;
    this.#policy = policy;
    this.#at = BigInt(at.getTime()) * 1000n;
    const index = (edge: Edge) => new References(edge, copy.tables.get(edge.from) ?? []);
    const declared = (fate: string) =>
      policy.dependants.filter((d) => d.fate === fate).map((d) => edgeOf(policy, d));
    const keys = (...actions: string[]) => copy.keys.filter((k) => actions.includes(k.action));
    // What a cascade takes goes, whoever declared it.
    this.#along = distinct([...declared('delete'), ...keys('c')]).map(index);
    this.#block = distinct(declared('block')).map(index);
    this.#refusing = distinct(keys('a', 'r')).map(index);
    this.#lets = keys('n', 'd').map((key) => ({ references: index(key), key }));
    const counting = new Map([...keepers].filter(([id]) => copy.triggers.has(id)));
    this.#kept = (row) =>
      [...counting].some(
        ([id, column]) =>
          id.startsWith(`${row.table} `) && Number(row.values[column] ?? 1) % KEPT_EVERY === 0,
      );
  }

  judge(): Judgment {
    const nobody: ReadonlySet<string> = new Set();
    const governed = this.#copy.tables.get(labelOf(this.#policy.table)) ?? [];
    const roots = governed.filter((row) => this.#isDue(row));
    const first = new Map(roots.map((row) => [row.id, this.#whyStays(row, nobody)]));
    for (const row of governed.filter((r) => this.#isBeforeAll(r)))
      first.set(row.id, this.#whyStays({ ...row, condition: true }, nobody) ?? 'no clock');
    const free = roots.filter((row) => first.get(row.id) === null);
    const gone = new Set<string>();
    let isPlain = free.every((row) => !this.#fails(this.#closure(row), nobody, nobody));
    const waiting = new Set(roots);
    for (let went = true; went; ) {
      went = false;
      for (const row of waiting) {
        const closure = this.#closure(row);
        if (this.#whyStays(row, gone) !== null || this.#fails(closure, gone, closure)) continue;
        for (const id of closure) gone.add(id);
        waiting.delete(row);
        if (first.get(row.id) !== null) isPlain = false;
        went = true;
      }
    }
    const either = this.#together(
      [...waiting].filter((row) => this.#whyStays(row, gone) === null),
      gone,
    );
    return {
      first,
      firstAlong: this.#counted(free),
      isPlain: isPlain && either.size === 0,
      gone,
      either,
      with: (more) =>
        new Set([...gone, ...more.flatMap((id) => [...this.#closure(this.#copy.rows.get(id)!)])]),
    };
  }

  /** Every row as it must be then; with what it named in columns that were let go of set to null. */
  after(gone: ReadonlySet<string>): Map<string, Readonly<Record<string, string | null>>> {
    const left = new Map<string, Record<string, string | null>>();
    for (const row of this.#copy.rows.values()) if (!gone.has(row.id)) left.set(row.id, { ...row.values });
    for (const id of gone) {
      for (const { references, key } of this.#lets) {
        if (key.to !== this.#copy.rows.get(id)!.table) continue;
        for (const child of references.to(this.#copy.rows.get(id)!)) {
          const values = left.get(child.id);
          for (const column of key.sets) if (values) values[column] = null;
        }
      }
    }
    return left;
  }

  /** `label key url` of every file that a row named that goes. */
  files(gone: ReadonlySet<string>): string[] {
    const columns = new Map<string, Set<string>>();
    const add = (label: string, files: Policy['files']) => {
      for (const f of files) {
        if (f.fate === 'delete') columns.set(label, (columns.get(label) ?? new Set()).add(f.column));
      }
    };
    add(labelOf(this.#policy.table), this.#policy.files);
    for (const d of this.#policy.dependants) if (d.fate === 'delete') add(labelOf(d.table), d.files);
    return [...gone].flatMap((id) => {
      const row = this.#copy.rows.get(id)!;
      return [...(columns.get(row.table) ?? [])].flatMap((c) =>
        row.values[c] ? [`${id} ${row.values[c]}`] : [],
      );
    });
  }

  /** What the columns of sizes say of those files. */
  bytes(gone: ReadonlySet<string>): number {
    const sizes = (label: string) => [
      ...(label === labelOf(this.#policy.table) ? this.#policy.files : []),
      ...(this.#policy.dependants.find((d) => d.fate === 'delete' && labelOf(d.table) === label)?.files ??
        []),
    ];
    return [...gone].reduce((sum, id) => {
      const row = this.#copy.rows.get(id)!;
      const named = sizes(row.table).filter((f) => f.fate === 'delete' && f.bytes && row.values[f.column]);
      return sum + named.reduce((all, f) => all + Math.max(0, Number(row.values[f.bytes!] ?? 0)), 0);
    }, 0);
  }

  #isDue(row: CopiedRow): boolean {
    const keep = this.#keepFor(row);
    if (row.instant === null || keep === null) return false;
    const cutoff = this.#at - BigInt(keep) * 1_000_000n;
    // A date has passed once its day is over.
    return this.#policy.clock.type === 'date' ? row.instant <= cutoff : row.instant < cutoff;
  }

  /** It stands before the cutoff, and is no instant: it is looked at, and stays. */
  #isBeforeAll(row: CopiedRow): boolean {
    const keep = this.#keepFor(row);
    if (row.instant !== null || row.clock === null || keep === null) return false;
    const cutoff = new Date(Number(this.#at / 1000n) - keep * 1000).toISOString();
    // A day that no calendar has.
    if (this.#policy.clock.type === 'iso') return /^\d{4}-/.test(row.clock) && row.clock < cutoff;
    return row.clock === '-infinity';
  }

  /** Seconds; null: forever, or no rule is for it. */
  #keepFor(row: CopiedRow): number | null {
    const { rules, tenants } = this.#policy;
    if (!tenants) {
      const rule = rules.find((r) =>
        Object.entries(r.match).every(([column, value]) => row.values[column] === String(value)),
      );
      return rule?.keepFor.seconds ?? null;
    }
    const tenant = (this.#copy.tables.get(labelOf(tenants.table)) ?? []).find(
      (t) => t.values[tenants.key.column] === row.values[tenants.column],
    );
    return rules.find((r) => r.label === tenant?.values.plan)?.keepFor.seconds ?? null;
  }

  #closure(root: CopiedRow): Set<string> {
    const found = new Set([root.id]);
    for (const queue = [root]; queue.length > 0; ) {
      const row = queue.pop()!;
      for (const references of this.#along.filter((r) => r.edge.to === row.table)) {
        for (const child of references.to(row)) {
          if (found.has(child.id)) continue;
          found.add(child.id);
          queue.push(child);
        }
      }
    }
    return found;
  }

  #whyStays(root: CopiedRow, gone: ReadonlySet<string>): Reason | null {
    const closure = [...this.#closure(root)]
      .filter((id) => !gone.has(id))
      .map((id) => this.#copy.rows.get(id)!);
    if (closure.some((row) => this.#isHeld(row))) return 'held';
    if (this.#copy.extended.has(root.id)) return 'extended';
    if (this.#copy.lettered.has(root.id)) return 'dead_letter';
    const blocked = this.#block.some(
      (r) => r.edge.to === root.table && r.to(root).some((d) => !gone.has(d.id)),
    );
    if (blocked) return 'referenced';
    return root.condition ? null : 'condition';
  }

  #isHeld(row: CopiedRow): boolean {
    const { table, key, scope, dependants } = this.#policy;
    const scopes = [
      ...(row.table === labelOf(table) ? [scope] : []),
      ...dependants.filter((d) => d.fate === 'delete' && labelOf(d.table) === row.table).map((d) => d.scope),
    ];
    return this.#copy.holds.some((h) => {
      if (h.scope === 'item') {
        const own =
          row.table === labelOf(table) ? keyText(key.map((k) => row.values[k.column] ?? null)) : row.key;
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
      const refusing = this.#refusing.some((r) => r.edge.to === row.table && r.to(row).some(stays));
      const clings = this.#lets.some(
        ({ references, key }) =>
          key.to === row.table &&
          key.sets.some((c) => this.#copy.notNull.has(`${key.from}.${c}`)) &&
          references.to(row).some(stays),
      );
      return refusing || clings;
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

  #counted(roots: readonly CopiedRow[]): Record<string, number> {
    const ids = new Set(roots.flatMap((row) => [...this.#closure(row)]));
    for (const row of roots) ids.delete(row.id);
    const counts: Record<string, number> = {};
    for (const id of ids) {
      const { table } = this.#copy.rows.get(id)!;
      counts[table] = (counts[table] ?? 0) + 1;
    }
    return counts;
  }
}

const edgeOf = (policy: Policy, d: Policy['dependants'][number]): Edge => ({
  from: labelOf(d.table),
  columns: d.references,
  to: labelOf(policy.table),
  targets: policy.key.map((k) => k.column),
});

function distinct(edges: readonly Edge[]): Edge[] {
  const by = new Map(
    edges.map((e) => [
      JSON.stringify([e.from, e.to, e.columns.map((c, i) => [c, e.targets[i]]).sort()]),
      { from: e.from, to: e.to, columns: e.columns, targets: e.targets },
    ]),
  );
  return [...by.values()];
}
