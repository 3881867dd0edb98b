/** Clocks that stand in the row which a governed row refers to: an item goes by the date of its order. */
import type { LinkDraft } from './links';
import type { Rolls } from './rolls';
import { quoted, type ShapeTable, tableOf } from './shape';
import { addKey, Draft, nameBeside } from './tables';
import { age, written } from './times';
import type { ValueType } from './values';

/** Moves the clock of the governed table into a table of its own, behind all others; null where it stays. */
export function clockElsewhere(
  rolls: Rolls,
  drafts: Draft[],
  enumType: ValueType,
  keepSeconds: number,
): LinkDraft | null {
  const governed = drafts[0]!;
  const { clock } = governed;
  if (governed.partitions || !clock || clock.second || !rolls.chance(12)) return null;
  const parent = new Draft(governed.schema, nameBeside(drafts, governed.names, 'parents'), rolls, 0);
  addKey(parent, rolls, enumType);
  const at = governed.columns.findIndex((c) => c.name === clock.column);
  const { type: sql } = governed.columns.splice(at, 1)[0]!;
  const column = parent.add(parent.names.next('dated'), { sql, value: () => '' }, false, false);
  parent.types.set(column, { sql, value: (_, r) => written(age(r, keepSeconds, true), clock) ?? '' });
  drafts.push(parent);
  const key = parent.uniques.length > 0 && rolls.chance(40) ? parent.uniques[0]! : parent.key;
  const references = key.map((target) =>
    governed.add(
      governed.names.next(`of_${target}`.slice(0, 40)),
      { sql: parent.typeOf(target), value: () => '' },
      false,
      false,
    ),
  );
  const table = { schema: parent.schema, name: parent.name };
  governed.clock = { ...clock, column, in: { table, references, key } };
  return {
    name: governed.names.next('dated_by'),
    from: 0,
    to: drafts.length - 1,
    columns: references,
    targets: key,
    action: rolls.of(['no action', 'restrict', 'set null', 'cascade']),
    deferrable: false,
    soft: rolls.chance(30),
    indexed: !rolls.chance(10),
    late: true,
  };
}

/** A change of the date waits for a running batch. */
export const elsewhereSql = ({ clock }: ShapeTable): string[] =>
  clock?.in
    ? [
        `create trigger lapse_gate before update of ${[...new Set([clock.column, ...clock.in.key])].map(quoted).join(', ')} or delete on ${tableOf(clock.in.table)} for each statement execute function retention.gate()`,
      ]
    : [];
