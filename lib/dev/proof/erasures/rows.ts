/** What lies in the tables: rows that refer to each other at random, in trees and in circles, many of them the subject's. */
import type { Rolls } from '../shapes/rolls';
import type { Row } from '../shapes/shape';
import type { Draft, DraftMention, DraftReference } from './drafts';

const PEOPLE = 4;
/** Over, not over, and nobody can say. */
const PAID = ['2001-01-01', '2001-01-01', '2099-01-01', null] as const;

type Values = Record<string, string | null>;

export interface Filling {
  readonly all: readonly Draft[];
  readonly subjects: readonly Draft[];
  readonly scope: 'user' | 'organization';
  readonly folder: string | null;
  readonly prefix: string;
}

export function fill(rolls: Rolls, f: Filling): { subject: string; files: string[] } {
  const rows = new Map<Draft, Values[]>();
  for (const t of f.all) {
    const count = t.subject ? PEOPLE : 4 + rolls.upTo(9);
    rows.set(
      t,
      Array.from({ length: count }, (_, n) =>
        Object.fromEntries(t.key.map((k) => [k, t.types.get(k)!.value(n, rolls)])),
      ),
    );
  }
  const asked = f.subjects.find((t) => t.subject === f.scope)!;
  const subject = rows.get(asked)![0]![asked.key[0]!]!;
  for (const t of f.all) for (const [n, row] of rows.get(t)!.entries()) own(rolls, f, { t, n, row, rows });
  for (const t of f.all) {
    t.rows = rows.get(t)!.map((row): Row => row);
  }
  const named = f.all.flatMap((t) => (t.file ? t.rows.flatMap((row) => row[t.file!] ?? []) : []));
  const ids = rows.get(asked)!.map((row) => row[asked.key[0]!]!);
  const folders = f.folder ? ids.map((id) => `${f.folder}${id}/picture.bin`) : [];
  return { subject, files: [...new Set([...named, ...folders])] };
}

interface Of {
  readonly t: Draft;
  readonly n: number;
  readonly row: Values;
  readonly rows: ReadonlyMap<Draft, Values[]>;
}

const emailOf = (n: number): string => `person.${n}@example.com`;

function own(rolls: Rolls, f: Filling, of: Of): void {
  const { t, n, row } = of;
  for (const { name } of t.columns) {
    if (name in row) continue;
    row[name] = null;
  }
  for (const r of t.references) refer(rolls, r, of);
  for (const m of t.mentions) row[m.column] = mention(rolls, m, f, of);
  if (t.subject) {
    const [address, called] = t.fate === 'delete' ? t.handled.delete : Object.keys(t.handled.mask);
    row[address!] = t.subject === 'user' ? emailOf(n) : `firm.${n}@example.org`;
    row[called!] = `Name ${n}`;
    return;
  }
  for (const c of t.columns) {
    if (row[c.name] !== null || t.references.some((r) => r.columns.includes(c.name))) continue;
    if (t.mentions.some((m) => m.column === c.name)) continue;
    row[c.name] = plain(rolls, f, of, c.name);
  }
}

function plain(rolls: Rolls, f: Filling, { t, n, rows }: Of, column: string): string | null {
  if (column === t.file)
    return rolls.chance(15)
      ? null
      : `${f.prefix}${rolls.chance(25) ? 'shared' : `${t.name.length}-${f.all.indexOf(t)}-${n}`}.bin`;
  if (column === t.clock) return '2026-01-01T00:00:00Z';
  if (column === t.memo) {
    const asked = f.subjects.find((s) => s.subject === f.scope)!;
    const id = rows.get(asked)![0]![asked.key[0]!]!;
    return rolls.chance(50) ? null : `about ${rolls.of([id, emailOf(0), emailOf(1), 'nobody'])}, it says`;
  }
  if (t.retainUntil !== 'removal' && column === t.retainUntil.after) return rolls.of(PAID);
  return rolls.chance(10) ? null : `words ${n}`;
}

function refer(rolls: Rolls, { to, columns }: DraftReference, { t, n, row, rows }: Of): void {
  const among = rows.get(to)!;
  const isNeeded = columns.some((c) => t.columns.find((x) => x.name === c)!.notNull);
  const target = targetOf(rolls, { to, t, n, among, isNeeded });
  for (const [i, column] of columns.entries()) row[column] = target ? target[to.key[i]!]! : null;
  // Of a composite one that leads nowhere the other column may still say something.
  if (target === null && isNeeded) {
    for (const [i, column] of columns.entries())
      if (t.columns.find((x) => x.name === column)!.notNull) row[column] = rolls.of(among)[to.key[i]!]!;
  }
}

function targetOf(
  rolls: Rolls,
  {
    to,
    t,
    n,
    among,
    isNeeded,
  }: { to: Draft; t: Draft; n: number; among: readonly Values[]; isNeeded: boolean },
): Values | null {
  if (to === t) {
    // Mostly a tree; now and then a circle, or itself.
    const odd = rolls.upTo(100);
    if (odd < 4) return among[n]!;
    if (odd < 12) return rolls.of(among);
    return n === 0 || odd < 35 ? null : among[rolls.upTo(n)]!;
  }
  if (!isNeeded && rolls.chance(25)) return null;
  return to.subject && rolls.chance(40) ? among[0]! : rolls.of(among);
}

function mention(rolls: Rolls, m: DraftMention, f: Filling, { rows }: Of): string | null {
  if (rolls.chance(25)) return null;
  const n = rolls.chance(45) ? 0 : rolls.upTo(PEOPLE);
  const subject = f.subjects.find((s) => s.subject === m.is);
  const value = subject ? rows.get(subject)![n]![subject.key[0]!]! : written(rolls, emailOf(n));
  return m.type === 'jsonb' ? JSON.stringify(within(m.path!, value)) : value;
}

const written = (rolls: Rolls, email: string): string =>
  rolls.of([email, email, email.toUpperCase(), ` ${email} `]);

/** What such a path leads to, among others. */
function within(path: string, value: string): unknown {
  const steps = path.slice(2).split('.');
  return steps.reduceRight<unknown>((inner, step) => {
    const many = step.endsWith('[*]');
    return { [step.replace('[*]', '')]: many ? [{ other: 'x' }, inner] : inner, kind: 'k' };
  }, value);
}
