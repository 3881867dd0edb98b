/** Tables in parts: by range of the clock, by range of another column, by list and by hash. */
import type { Rolls } from './rolls';
import type { Draft } from './tables';
import { NOW } from './times';

/** Before the columns of links are added: what a table is partitioned by is part of its key. */
export function addPartitions(rolls: Rolls, drafts: readonly Draft[]): void {
  for (const [i, draft] of drafts.entries()) {
    if (!rolls.chance(i === 0 ? 8 : 10)) continue;
    // Each unique key would have to hold what the table is partitioned by.
    draft.uniques.splice(0);
    if (i === 0) byClock(draft);
    else byHash(draft, rolls, i);
  }
}

/** The months around the cutoff, and a default one for what lies beyond. */
function byClock(draft: Draft): void {
  const { clock } = draft;
  if (!clock || clock.second || (clock.type !== 'timestamptz' && clock.type !== 'timestamp')) return;
  const at = draft.columns.findIndex((c) => c.name === clock.column);
  draft.columns[at] = { ...draft.columns[at]!, notNull: true };
  draft.key = [...draft.key, clock.column];
  const month = (back: number) =>
    `${new Date(Date.UTC(NOW.getUTCFullYear(), NOW.getUTCMonth() - back, 1)).toISOString().slice(0, 10)}${clock.type === 'timestamptz' ? ' 00:00:00+00' : ''}`;
  const months = Array.from({ length: 14 }, (_, i) => i);
  draft.partitions = {
    by: 'range',
    column: clock.column,
    parts: [
      ...months.map((back) => ({
        name: `part_${back}`,
        bounds: `for values from ('${month(back)}') to ('${month(back - 1)}')`,
      })),
      { name: 'part_rest', bounds: 'default' },
    ],
  };
}

function byHash(draft: Draft, rolls: Rolls, i: number): void {
  const column = rolls.of(draft.key);
  const parts = 1 + rolls.upTo(3);
  draft.partitions = {
    by: 'hash',
    column,
    parts: Array.from({ length: parts }, (_, n) => ({
      name: `part_${i}_of_${n}`,
      bounds: `for values with (modulus ${parts}, remainder ${n})`,
    })),
  };
}
