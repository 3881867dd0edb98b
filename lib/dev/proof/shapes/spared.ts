/** Rows that stay for the sake of their group: the newest of it, or the one that is kept of a period of the calendar. */
import type { CopiedRow } from './copy';
import { type Judged, markOf } from './due';
import { labelOf } from './shape';

export type Spared = 'newest' | 'one_of_period';

/** Of the rows that are there, have an instant and are not marked or masked. */
export function sparedRows({ copy, policy, at }: Judged): Map<string, Spared> {
  const mark = markOf(policy);
  const rows = (copy.tables.get(labelOf(policy.table)) ?? []).filter(
    (row) => row.instant !== null && (mark === null || row.values[mark] === null),
  );
  const spared = new Map<string, Spared>();
  const { thin, keepAtLeast } = policy;
  for (const [i, { until }] of (thin?.tiers ?? []).entries()) {
    const since = until.seconds === null ? null : BigInt(at.getTime() - until.seconds * 1000) * 1000n;
    const live = rows.filter((row) => since === null || row.periods[i]!.ends > since);
    for (const group of groupsOf(live, thin!.per, (row) => row.periods[i]!.begins))
      spared.set((thin!.which === 'first' ? group[0]! : group.at(-1)!).id, 'one_of_period');
  }
  if (keepAtLeast) {
    for (const group of groupsOf(rows, keepAtLeast.per, () => ''))
      for (const row of group.slice(-keepAtLeast.newest)) spared.set(row.id, 'newest');
  }
  return spared;
}

/** In the order of the clock. */
function groupsOf(
  rows: readonly CopiedRow[],
  per: readonly string[],
  more: (row: CopiedRow) => string,
): CopiedRow[][] {
  const groups = new Map<string, CopiedRow[]>();
  for (const row of [...rows].sort((a, b) => a.place - b.place)) {
    const name = JSON.stringify([...per.map((c) => row.values[c]), more(row)]);
    groups.set(name, [...(groups.get(name) ?? []), row]);
  }
  return [...groups.values()];
}
