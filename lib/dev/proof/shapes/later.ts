/**
 * Clocks that rows of other tables have a part in: a second column of a child, or of the table itself, and what keeps a
 * row by it, reckoned a second time. Rolled on its own, so that shapes without one stay as they are.
 */
import type { Policy, PolicyInput } from '../../../policies/contract';
import type { CopiedRow, Copy } from './copy';
import type { Judged } from './due';
import type { LinkDraft } from './links';
import { Rolls } from './rolls';
import { labelOf, listed, type ShapeTable, tableOf } from './shape';
import type { Draft } from './tables';
import { age, type Counting, DAY, written } from './times';

type Later = NonNullable<PolicyInput['clock']['orLaterIn']>[number];

export interface LaterDraft {
  readonly from: number;
  readonly link: LinkDraft;
  readonly column: string;
  readonly counting: Exclude<Counting, { type: 'iso' }>;
}

const KINDS: readonly (readonly [LaterDraft['counting'], string])[] = [
  [{ type: 'timestamptz' }, 'timestamp with time zone'],
  [{ type: 'timestamptz' }, 'timestamp with time zone'],
  [{ type: 'date', zone: 'Asia/Kolkata' }, 'date'],
  [{ type: 'timestamp', zone: 'Europe/Berlin' }, 'timestamp without time zone'],
  [{ type: 'epoch', unit: 'milliseconds' }, 'bigint'],
  [{ type: 'epoch', unit: 'seconds', numeric: true }, 'numeric'],
];

/** None where rows are dropped by partitions, or stay for the sake of a group. */
export function laterOf(
  [seed, number]: readonly [number, number],
  drafts: readonly Draft[],
  links: readonly LinkDraft[],
  keepSeconds: number,
): LaterDraft[] {
  const rolls = new Rolls(seed + 7_000_003, number);
  const may = links.filter((l) => l.to === 0 && !l.late && drafts[l.from]!.partitions === null);
  if (drafts[0]!.partitions !== null || may.length === 0 || !rolls.chance(35)) return [];
  const chosen = rolls.shuffled(may).slice(0, rolls.chance(25) ? 2 : 1);
  return chosen.map((link) => {
    const draft = drafts[link.from]!;
    const [counting, sql] = rolls.of(KINDS);
    const value = () =>
      written(
        rolls.chance(80) ? keepSeconds + DAY * (2 + rolls.upTo(90)) : age(rolls, keepSeconds, true),
        counting,
      ) ?? '';
    const column = draft.add(draft.names.next('later_at'), { sql, value }, false);
    return { from: link.from, link, column, counting };
  });
}

/** As a developer writes it. */
export function laterClock(
  later: readonly LaterDraft[],
  tables: readonly ShapeTable[],
): Pick<PolicyInput['clock'], 'orLaterIn'> {
  const [governed] = tables;
  const all = later.map(({ from, link, column, counting }): Later => {
    const { schema, name } = tables[from]!;
    const isKey = [...link.targets].sort().join() === [...governed!.key].sort().join();
    const references = isKey
      ? governed!.key.map((k) => link.columns[link.targets.indexOf(k)]!)
      : [...link.columns];
    return {
      ...counting,
      column,
      table: { schema, name },
      references,
      ...(isKey ? {} : { refersTo: [...link.targets] }),
    };
  });
  return all.length > 0 ? { orLaterIn: all } : {};
}

/** The index and the gate; every second developer waits to be told. */
export const laterSql = (
  later: readonly LaterDraft[],
  tables: readonly ShapeTable[],
  number: number,
): string[] =>
  number % 2 === 0
    ? []
    : later.flatMap(({ from, link, column }) => [
        `create index on ${tableOf(tables[from]!)} (${listed([...link.columns, column])})`,
      ]);

/** Whether a row that is still there refers to it and is not before the cutoff, or has no date. */
export function isKeptByLater(
  row: CopiedRow,
  { copy, policy }: Judged,
  cutoff: bigint,
  gone: ReadonlySet<string>,
): boolean {
  return (policy.clock.orLaterIn ?? []).some((of, i) => {
    const to = of.refersTo ?? policy.key.map((k) => k.column);
    return (copy.tables.get(labelOf(of.table)) ?? []).some((other) => {
      const refers = of.references.every(
        (c, n) => other.values[c] !== null && other.values[c] === row.values[to[n]!],
      );
      if (!refers || gone.has(other.id)) return false;
      const at = other.later[i] ?? null;
      return at === null || (of.type === 'date' ? at > cutoff : at >= cutoff);
    });
  });
}

/** What makes the copy of a child a young one; null where its table has no part in the clock, or no foreign key binds it. */
export function youngCopy(
  { clock }: Policy,
  of: string,
  before: Copy,
): Readonly<Record<string, string>> | null {
  const later = (clock.orLaterIn ?? []).find((x) => labelOf(x.table) === of);
  const isBound = before.keys.some(
    (k) => k.from === of && [...k.columns].sort().join() === [...(later?.references ?? [])].sort().join(),
  );
  return later && isBound ? { [later.column]: written(-DAY, later) ?? '' } : null;
}

/** The governed row that a copy of a child refers to by these values. */
export function rowAbove(
  policy: Policy,
  of: string,
  before: Copy,
  values: CopiedRow['values'],
): string | null {
  const later = (policy.clock.orLaterIn ?? []).find((x) => labelOf(x.table) === of);
  const to = later?.refersTo ?? policy.key.map((k) => k.column);
  const above = [...before.rows.values()].find(
    (row) =>
      row.isGoverned &&
      later?.references.every((c, n) => values[c] != null && values[c] === row.values[to[n]!]),
  );
  return above?.id ?? null;
}
