/** Tables in parts: by range of the clock, by range of another column, by list, by hash, nested, and in other schemas. */
import type { Rolls } from './rolls';
import { listed, type Partitions, quoted, tableOf } from './shape';
import type { Draft } from './tables';
import { NOW } from './times';

/** Before the columns of links are added: what a table is partitioned by is part of its key. */
export function addPartitions(rolls: Rolls, drafts: readonly Draft[], schemas: readonly string[]): void {
  for (const [i, draft] of drafts.entries()) {
    if (!rolls.chance(12)) continue;
    // Each unique key would have to hold what the table is partitioned by.
    draft.uniques.splice(0);
    if (i === 0 && rolls.chance(45)) byClock(draft);
    else draft.partitions = byKey(draft, rolls, i, schemas);
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
  const leaf = (name: string, bounds: string) =>
    `create table ${tableOf({ schema: draft.schema, name })} partition of ${tableOf(draft)} ${bounds}`;
  draft.partitions = {
    by: `range (${quoted(clock.column)})`,
    isByClock: true,
    parts: [
      ...months.map((back) =>
        leaf(`part_${back}`, `for values from ('${month(back)}') to ('${month(back - 1)}')`),
      ),
      leaf('part_rest', 'default'),
    ],
  };
}

/** By columns of the key; half of the parts lie in whatever schema. */
function byKey(draft: Draft, rolls: Rolls, i: number, schemas: readonly string[]): Partitions {
  const column = rolls.of(draft.key);
  const place = (name: string) =>
    tableOf({ schema: rolls.chance(50) ? draft.schema : rolls.of(schemas), name });
  const leaf = (name: string, of: string, bounds: string, further = '') =>
    `create table ${place(name)} partition of ${of} ${bounds}${further}`;
  const hash = (of: string, name: string) => {
    const n = 1 + rolls.upTo(3);
    return Array.from({ length: n }, (_, r) =>
      leaf(`${name}_${r}`, of, `for values with (modulus ${n}, remainder ${r})`),
    );
  };
  const here = tableOf(draft);
  const type = draft.types.get(column)!;
  const values = [1, 4].map((n) => type.value(n, rolls));
  const form = rolls.of(['hash', 'list', 'range', 'nested'] as const);
  if (form === 'hash') {
    const both = draft.key.length > 1 && rolls.chance(40) ? draft.key : [column];
    return { by: `hash (${listed(both)})`, isByClock: false, parts: hash(here, `part_${i}`) };
  }
  if (form === 'list') {
    const lists = [...new Set(values)].map((v, n) =>
      leaf(`part_${i}_${n}`, here, `for values in ('${v.replaceAll("'", "''")}')`),
    );
    return {
      by: `list (${quoted(column)})`,
      isByClock: false,
      parts: [...lists, leaf(`part_${i}_rest`, here, 'default')],
    };
  }
  const border = `'${values[1]!.replaceAll("'", "''")}'`;
  if (form === 'range')
    return {
      by: `range (${quoted(column)})`,
      isByClock: false,
      parts: [
        leaf(`part_${i}_low`, here, `for values from (minvalue) to (${border})`),
        leaf(`part_${i}_high`, here, `for values from (${border}) to (maxvalue)`),
      ],
    };
  const inner = tableOf({ schema: draft.schema, name: `part_${i}_high` });
  return {
    by: `range (${quoted(column)})`,
    isByClock: false,
    parts: [
      leaf(`part_${i}_low`, here, `for values from (minvalue) to (${border})`),
      `create table ${inner} partition of ${here} for values from (${border}) to (maxvalue) partition by hash (${quoted(column)})`,
      ...hash(inner, `part_${i}_high`),
    ],
  };
}
