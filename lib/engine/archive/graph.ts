/**
 * How the rows of an archive hang on one another: what lies below a row, at any depth and by whichever way, and in which order
 * they come back, so that each finds there what it refers to. Rows that refer to one another in a circle come back together.
 */

/** A row, and the rows above it, by what they are called in their archive. */
export interface Hanging {
  readonly id: string;
  readonly above: readonly string[];
}

/** What a row of an archive's table is called. */
export const idOf = (table: number, key: string): string => `${table}:${key}`;

/** Those of these rows for which it is true, and everything below them that may follow. */
export function withBelow<T extends Hanging>(
  rows: readonly T[],
  isFirst: (row: T) => boolean,
  mayFollow: (row: T) => boolean = () => true,
): Set<string> {
  const below = belowEach(rows);
  const found = new Set<string>();
  for (const queue = rows.filter(isFirst); queue.length > 0; ) {
    const { id } = queue.pop()!;
    if (found.has(id)) continue;
    found.add(id);
    queue.push(...(below.get(id) ?? []).filter(mayFollow));
  }
  return found;
}

/** The rows that a row has to find there. */
type Before<T> = (row: T) => readonly string[];

function belowEach<T extends Hanging>(
  rows: readonly T[],
  before: Before<T> = ({ above }) => above,
): Map<string, T[]> {
  const below = new Map<string, T[]>();
  for (const row of rows) {
    for (const id of new Set(before(row))) {
      const those = below.get(id);
      if (those) those.push(row);
      else below.set(id, [row]);
    }
  }
  return below;
}

/**
 * Step by step, what a row refers to before it (`before`: also what it does not hang on), and what lies below a row right behind it
 * where that is possible.
 */
export function inOrder<T extends Hanging>(
  rows: readonly T[],
  before: Before<T> = ({ above }) => above,
): T[][] {
  const known = new Map(rows.map((row) => [row.id, row]));
  const above = new Map(rows.map((row) => [row, among(known, row.id, before(row))]));
  const below = belowEach(rows, before);
  const steps: T[][] = [];
  const ready = rows.filter((row) => above.get(row)!.size === 0).reverse();
  const out = (step: T[]): void => {
    steps.push(step);
    for (const { id } of step) known.delete(id);
    for (const row of step.flatMap((one) => below.get(one.id) ?? [])) {
      const left = above.get(row)!;
      for (const one of step) left.delete(one.id);
      if (left.size === 0 && known.has(row.id)) ready.push(row);
    }
  };
  while (known.size > 0) {
    const next = ready.pop();
    if (next === undefined) out(circleOf(known, above, below));
    else if (known.has(next.id)) out([next]);
  }
  return steps;
}

/** Those of its own it waits for: not itself. */
const among = (known: ReadonlyMap<string, unknown>, own: string, ids: readonly string[]): Set<string> =>
  new Set(ids.filter((id) => id !== own && known.has(id)));

/** Rows that refer to one another in a circle, and to no other that is not out yet. */
function circleOf<T extends Hanging>(
  known: ReadonlyMap<string, T>,
  above: ReadonlyMap<T, ReadonlySet<string>>,
  below: ReadonlyMap<string, readonly T[]>,
): T[] {
  let [from] = known.values();
  for (;;) {
    const up = reached(from!, (row) => [...above.get(row)!].map((id) => known.get(id)!));
    const down = reached(from!, (row) => (below.get(row.id) ?? []).filter(({ id }) => known.has(id)));
    const other = [...up].find((row) => !down.has(row));
    if (other === undefined) return [...up];
    from = other;
  }
}

function reached<T>(from: T, next: (row: T) => readonly T[]): Set<T> {
  const found = new Set<T>();
  for (const queue = [from]; queue.length > 0; ) {
    const row = queue.pop()!;
    if (found.has(row)) continue;
    found.add(row);
    queue.push(...next(row));
  }
  return found;
}
