/**
 * A second judgment of an erasure, which shares no code with the engine: from a copy of the rows, the foreign keys of the
 * catalog and the data map as it is written, which rows are the subject's, what becomes of each, and which stay because of a hold or a
 * circle. By the words of docs/DATA-MAP.md.
 */
import type { PolicyInput } from '../../../policies/contract';
import type { DataMapInput } from '../../../policies/data-map-contract';
import type { CopiedRow, Copy, ForeignKey } from '../shapes/copy';
import { hashedIn, type Line, linesOf, normal, tableIn, valuesAt } from './map';

export interface Asked {
  readonly copy: Copy;
  readonly map: DataMapInput;
  readonly policies: readonly PolicyInput[];
  readonly scope: 'user' | 'organization';
  readonly subject: string;
}

type Values = Record<string, string | null>;

export interface Truth {
  /** Rows that are gone, by table and key. */
  readonly gone: ReadonlySet<string>;
  /** Rows that an erasure changes, as often as it names them. */
  readonly changed: readonly string[];
  /** Every row that is left, as it must be. */
  readonly left: ReadonlyMap<string, Values>;
  /** Rows that should go or change and do not, once for each change, and those of them that a hold keeps. */
  readonly stuck: readonly string[];
  readonly held: readonly string[];
  /** What the map has not decided; then nothing is erased. */
  readonly undecided: readonly string[];
}

type Verdict = 'reached' | 'detached' | 'nothing' | 'undecided';

interface Detaching {
  readonly row: string;
  readonly columns: readonly string[];
  /** Rows it points at; empty: it names the subject itself. */
  readonly to: string;
}

export class Oracle {
  readonly #lines: Map<string, Line>;
  readonly #reached = new Set<string>();
  /** Those that are found by themselves. */
  readonly #named = new Set<string>();
  /** For each reached row, those through which it is reached. */
  readonly #through = new Map<string, Set<string>>();
  readonly #detaching = new Map<string, Detaching>();
  readonly #undecided = new Set<string>();
  readonly #now = new Map<string, Values>();
  readonly #emails: ReadonlyMap<string, Set<string>>;

  constructor(private readonly a: Asked) {
    this.#lines = linesOf(a.map, a.policies);
    this.#emails = this.#identifiers();
    for (const row of a.copy.rows.values()) this.#now.set(row.id, { ...row.values });
    for (const row of a.copy.rows.values()) this.#byName(row);
    for (const id of this.#reached) this.#from(a.copy.rows.get(id)!);
  }

  #line(table: string): Line | undefined {
    return this.#lines.get(table);
  }

  #goes(table: string): boolean {
    return this.#line(table)?.action === 'delete';
  }

  #subjects(): Line[] {
    return [...this.#lines.values()].filter((l) => l.subject === this.a.scope);
  }

  /** Addresses and the like, by which the subject is known. */
  get addresses(): string[] {
    return [...this.#emails.values()].flatMap((all) => [...all]);
  }

  keyOf(table: string): readonly string[] {
    return this.a.copy.primary.get(table) ?? [];
  }

  #isSubject(row: CopiedRow): boolean {
    return this.#line(row.table)?.subject === this.a.scope && row.key === this.a.subject;
  }

  #identifiers(): Map<string, Set<string>> {
    const found = new Map<string, Set<string>>();
    for (const line of this.#subjects())
      for (const row of this.a.copy.tables.get(line.label) ?? [])
        if (this.#isSubject(row))
          for (const c of line.identifiers)
            if (row.values[c]?.trim()) found.set(c, (found.get(c) ?? new Set()).add(normal(row.values[c])));
    return found;
  }

  /** Foreign keys of a table to tables of such subjects. */
  isName({ to, targets }: ForeignKey): boolean {
    return this.#line(to)?.subject === this.a.scope && targets.length === 1;
  }

  /** Columns in which the row names the subject. */
  #names({ table, values }: CopiedRow): string[] {
    const { scope, subject, copy, policies } = this.a;
    const scoped = policies
      .flatMap((p) => [p, ...(p.dependants ?? [])])
      .filter((p) => tableIn(p) === table)
      .flatMap((p) => p.scope?.[scope] ?? []);
    const mentions = this.#line(table)?.mentions ?? [];
    return [
      ...copy.keys
        .filter((k) => k.from === table && this.isName(k) && values[k.columns[0]!] === subject)
        .map((k) => k.columns[0]!),
      ...scoped.filter((c) => values[c] === subject),
      ...mentions.filter((m) => this.#mentions(values[m.column] ?? null, m)).map((m) => m.column),
    ];
  }

  #mentions(value: string | null, { path, is }: { path?: string | undefined; is: string }): boolean {
    const values = path ? valuesAt(value, path) : value === null ? [] : [value];
    if (is === this.a.scope) return values.includes(this.a.subject);
    const known = this.#emails.get(is);
    return known !== undefined && values.some((v) => known.has(normal(v)));
  }

  #byName(row: CopiedRow): void {
    if (this.#isSubject(row)) this.#found(row);
    for (const column of new Set(this.#names(row))) {
      const verdict = this.#namedBy(row.table, column);
      if (verdict === 'reached') this.#found(row);
      if (verdict === 'undecided') this.#undecided.add(`${row.table}.${column}`);
      if (verdict === 'detached') this.#detach(row, [column], '');
    }
  }

  #found({ id }: CopiedRow): void {
    this.#reached.add(id);
    this.#named.add(id);
  }

  #namedBy(table: string, column: string): Verdict {
    const line = this.#line(table)!;
    if (line.detach.includes(column)) return 'detached';
    const handled = line.columns.get(column);
    if (line.subject) {
      if (handled?.kind === 'mask') return 'detached';
      return this.#subjects().some((l) => this.#goes(l.label)) ? 'undecided' : 'nothing';
    }
    return handled || line.action === 'delete' ? 'reached' : 'undecided';
  }

  #detach(row: CopiedRow, columns: readonly string[], to: string): void {
    this.#detaching.set(`${row.id} ${columns.join()} ${to}`, { row: row.id, columns, to });
  }

  referring(to: CopiedRow): { row: CopiedRow; key: ForeignKey }[] {
    return this.a.copy.keys
      .filter((k) => k.to === to.table)
      .flatMap((key) =>
        (this.a.copy.tables.get(key.from) ?? [])
          .filter((row) =>
            key.columns.every((c, i) => this.#now.get(row.id)![c] === to.values[key.targets[i]!]),
          )
          .map((row) => ({ row, key })),
      );
  }

  #from(to: CopiedRow): void {
    for (const { row, key } of this.referring(to)) {
      if (this.isName(key)) continue;
      const verdict = this.#refers(key, this.#goes(to.table));
      if (verdict === 'undecided') this.#undecided.add(`${key.from}.${key.columns.join()}`);
      if (verdict === 'detached') this.#detach(row, this.#let(key), to.id);
      if (verdict !== 'reached') continue;
      this.#reached.add(row.id);
      this.#through.set(row.id, (this.#through.get(row.id) ?? new Set()).add(to.id));
    }
  }

  /** Of a reference the columns that the map says become null. */
  #let({ from, columns }: ForeignKey): string[] {
    const { detach } = this.#line(from)!;
    return columns.filter((c) => detach.includes(c));
  }

  #refers(key: ForeignKey, goes: boolean): Verdict {
    const line = this.#line(key.from);
    if (!line) return 'undecided';
    if (this.#let(key).length > 0) return goes ? 'detached' : 'nothing';
    if (line.subject) return goes ? 'undecided' : 'nothing';
    const handled = key.columns.flatMap((c) => line.columns.get(c) ?? []);
    if (goes && handled[0]?.kind === 'retain') return 'undecided';
    if (handled.length > 0) return 'reached';
    const declared = goes ? this.#declared(key) : null;
    if (declared === 'keep' || declared === 'set-null') return 'nothing';
    if (declared === 'delete') return 'reached';
    if (line.action === 'delete' && goes && key.action === 'c') return 'reached';
    if (line.action === null && (!goes || key.action === 'n' || key.action === 'd')) return 'nothing';
    return 'undecided';
  }

  #declared(key: ForeignKey): string | null {
    const declared = this.a.policies
      .filter((p) => tableIn(p) === key.to)
      .flatMap((p) => p.dependants ?? [])
      .find((d) => tableIn(d) === key.from && d.references.join() === key.columns.join());
    return declared?.fate ?? null;
  }

  judge(): Truth {
    const held = this.#held();
    const { copy } = this.a;
    const gone = new Set<string>();
    const changed = new Map<string, string>();
    const going = [...this.#reached].filter((id) => this.#mustGo(copy.rows.get(id)!));
    const masks = new Map([...this.#reached].flatMap((id) => this.#maskOf(copy.rows.get(id)!)));
    const detaching = new Map([...this.#detaching].filter(([, d]) => !going.includes(d.row)));
    const isHeld = (d: Detaching) => held.has(d.row) || held.has(d.to);
    for (let more = true; more; ) {
      more = false;
      for (const [same, d] of detaching) {
        if (isHeld(d)) continue;
        detaching.delete(same);
        for (const c of d.columns) this.#now.get(d.row)![c] = null;
        changed.set(`${d.row} ${d.columns.join()}`, d.row);
        more = true;
      }
      for (const id of going) {
        if (gone.has(id) || held.has(id) || !this.#isFree(copy.rows.get(id)!, gone)) continue;
        this.#letGo(copy.rows.get(id)!);
        gone.add(id);
        more = true;
      }
      for (const [id, values] of masks) {
        if (held.has(id) || this.#waits(copy.rows.get(id)!, { going, gone, masks, detaching })) continue;
        masks.delete(id);
        Object.assign(this.#now.get(id)!, values);
        changed.set(id, id);
        more = true;
      }
    }
    const lost = [...detaching.values()];
    const staying = going.filter((id) => !gone.has(id));
    return {
      gone,
      changed: [...changed.values()],
      left: new Map([...this.#now].filter(([id]) => !gone.has(id))),
      stuck: [...staying, ...masks.keys(), ...unique(lost)],
      held: [...[...staying, ...masks.keys()].filter((id) => held.has(id)), ...unique(lost)],
      undecided: [...this.#undecided],
    };
  }

  /** By a hold on the subject, on the row, on whose it is, or on a row through which it is reached. `''`: on the subject. */
  #held(): Set<string> {
    const { copy, scope, subject } = this.a;
    const all = copy.holds.some((h) => h.scope === scope && h.subject === subject);
    const held = new Set<string>(
      all ? ['', ...this.#reached, ...[...this.#detaching.values()].map((d) => d.row)] : [],
    );
    for (const row of copy.rows.values()) if (copy.holds.some((h) => this.#holds(h, row))) held.add(row.id);
    for (let size = -1; size < held.size; ) {
      size = held.size;
      for (const [id, through] of this.#through) if ([...through].some((x) => held.has(x))) held.add(id);
    }
    return held;
  }

  #holds(h: Copy['holds'][number], row: CopiedRow): boolean {
    if (h.scope === 'item') return h.table === row.table && h.subject === row.key;
    return this.#ownersOf(row.table, h.scope).some((c) => row.values[c] === h.subject);
  }

  /** Columns that say whose a row is: as its policy declares, by its foreign keys, and as the map says. */
  #ownersOf(table: string, scope: string): string[] {
    const { policies, copy } = this.a;
    const declared = policies
      .flatMap((p) => [p, ...(p.dependants ?? [])])
      .filter((p) => tableIn(p) === table);
    return [
      ...declared.flatMap((p) => p.scope?.[scope as 'user'] ?? []),
      ...copy.keys
        .filter((k) => k.from === table && k.columns.length === 1 && this.#line(k.to)?.subject === scope)
        .map((k) => k.columns[0]!),
      ...(this.#line(table)?.mentions ?? []).filter((m) => m.is === scope && !m.path).map((m) => m.column),
    ];
  }

  /** Nothing that stays refers to it. */
  #isFree(to: CopiedRow, gone: ReadonlySet<string>): boolean {
    return this.referring(to).every(({ row, key }) => {
      if (row.id === to.id || gone.has(row.id)) return true;
      const declared = this.#declared(key);
      if (declared === 'keep' || declared === 'set-null') return true;
      const letsGo = key.action === 'n' || key.action === 'd';
      return letsGo && this.#line(key.from)?.action === null && this.#let(key).length === 0;
    });
  }

  /** The database takes away what refers to a row that goes. */
  #letGo(to: CopiedRow): void {
    for (const { row, key } of this.referring(to))
      if (key.action === 'n') for (const c of key.sets) this.#now.get(row.id)![c] = null;
  }

  /** Tables that are reached through this one, and through which it is reached itself. */
  #circle(table: string): Set<string> {
    const { keys } = this.a.copy;
    const reach = keys.filter((k) => !this.isName(k) && this.#refers(k, this.#goes(k.to)) === 'reached');
    const from = (start: string, next: (at: string) => string[]) => {
      const found = new Set(next(start));
      for (const at of found) for (const more of next(at)) found.add(more);
      return found;
    };
    const below = from(table, (at) => reach.filter((k) => k.to === at).map((k) => k.from));
    const above = from(table, (at) => reach.filter((k) => k.from === at).map((k) => k.to));
    return new Set([...below].filter((t) => above.has(t)));
  }

  /** A mask waits for what is reached through its table; in a circle of tables, for what is reached through the row alone. */
  #waits({ id, table }: CopiedRow, left: Left): boolean {
    const tableOf = (of: string) => this.a.copy.rows.get(of)!.table;
    const circle = this.#circle(table);
    const below = new Set(
      this.a.copy.keys
        .filter(
          (k) =>
            k.to === table &&
            !circle.has(k.from) &&
            !this.isName(k) &&
            this.#refers(k, this.#goes(table)) === 'reached',
        )
        .map((k) => k.from),
    );
    const undone = [...left.going.filter((of) => !left.gone.has(of)), ...left.masks.keys()];
    const waitsFor = (of: string) => !this.#named.has(of) && this.#leadsTo(id, of);
    return (
      undone.some((of) => below.has(tableOf(of)) || (circle.size > 0 && waitsFor(of))) ||
      [...left.detaching.values()].some((d) => below.has(tableOf(d.row)))
    );
  }

  /** Whether a row is reached through another, over any number of others. */
  #leadsTo(id: string, below: string): boolean {
    const above = new Set(this.#through.get(below));
    for (const one of above) for (const next of this.#through.get(one) ?? []) above.add(next);
    return above.has(id);
  }

  /** A row whose ground has ended goes where it cannot be emptied, and nothing else of it is retained. */
  #mustGo(row: CopiedRow): boolean {
    const line = this.#line(row.table);
    if (line?.action !== 'retain') return this.#goes(row.table);
    const ends = [...line.columns.values()].every((h) => h.kind === 'retain' && isOver(h.until, row.values));
    return ends && !this.#canBeEmpty(line);
  }

  #canBeEmpty({ label, columns }: Line): boolean {
    return [...columns].every(([c, h]) => h.kind !== 'retain' || !this.a.copy.notNull.has(`${label}.${c}`));
  }

  /** What a reached row that stays must read; nothing where it does already. */
  #maskOf(row: CopiedRow): [string, Values][] {
    const { id, table, values } = row;
    const line = this.#line(table);
    if (!line || this.#mustGo(row)) return [];
    const masked: Values = {};
    for (const [column, h] of line.columns) {
      const value = values[column] ?? null;
      const leaves =
        h.kind === 'retain'
          ? isOver(h.until, values) && this.#canBeEmpty(line)
            ? null
            : value
          : h.kind === 'mask'
            ? leavesOf(table, value, h.leaves)
            : value;
      if (leaves !== value) masked[column] = leaves;
    }
    return Object.keys(masked).length > 0 ? [[id, masked]] : [];
  }
}

interface Left {
  readonly going: readonly string[];
  readonly gone: ReadonlySet<string>;
  readonly masks: ReadonlyMap<string, Values>;
  readonly detaching: ReadonlyMap<string, Detaching>;
}

/** The rows, once for each of their columns. */
const unique = (all: readonly Detaching[]): string[] => [
  ...new Map(all.map((d) => [`${d.row} ${d.columns.join()}`, d.row])).values(),
];

function leavesOf(
  table: string,
  value: string | null,
  leaves: null | 'hash' | { constant: string },
): string | null {
  if (leaves === null) return null;
  if (leaves !== 'hash') return leaves.constant;
  return value === null ? null : hashedIn(table, value);
}

export const isOver = (until: unknown, values: Readonly<Values>): boolean => {
  if (typeof until !== 'object' || until === null || !('days' in until)) return false;
  const { days, after } = until as { days: number; after: string };
  const at = values[after];
  return (
    at != null && Date.parse(at.replace(' ', 'T').replace(/\+00$/, 'Z')) + days * 86_400_000 <= Date.now()
  );
};
