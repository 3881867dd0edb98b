/**
 * A clock in another table: the row it refers to has to be one at most, its column of the declared type, and no change of it
 * may pass by a running batch, which would delete a row that is young again (promise 1).
 */
import type { Problem } from '../../platform/errors';
import { name } from '../../platform/sql';
import { scaleOf } from '../../policies/clocks';
import type { Policy } from '../../policies/contract';
import { asClock } from './preflight-columns';
import { type Catalog, type Check, quoted, type Relation } from './preflight-facts';
import { freeName, waitsAnyway } from './preflight-gates';
import { createIndex } from './preflight-indexes';
import { lackingRights } from './preflight-tables';

type Elsewhere = NonNullable<Policy['clock']['in']>;

export const clockElsewhere: Check = (catalog) => {
  const { clock } = catalog.policy;
  if (!clock.in) return [];
  const asked = catalog.facts.fragments.clock;
  const r = catalog.declared(catalog.facts.declared.length - 1);
  if (!r || /^(42703|42883|42804)$/.test(asked?.state ?? '')) {
    const why = asked?.message ?? 'there is no such table';
    return [{ problem: `clock.in cannot be asked: ${why}`, remedy: 'correct clock.in in the policy' }];
  }
  if (r.kind !== 'r') {
    return [
      {
        problem: `${quoted(r)}, which has the clock, is not a plain table (relkind ${r.kind})`,
        remedy: 'copy the date into a column of the row, and name that as its clock',
      },
    ];
  }
  const rights =
    r.may.use && r.may.select ? [] : lackingRights(r, r.may.select ? '' : 'SELECT from', 'SELECT');
  return [...rights, ...ofType(catalog, r), ...isOne(r, clock.in), ...changesWait(catalog, r, clock.in)];
};

function ofType({ policy: { clock } }: Catalog, r: Relation): Problem[] {
  const column = r.columns[clock.column];
  if (!column || scaleOf(clock).columns.includes(column.base)) return [];
  return [
    {
      problem: `the clock ${name(clock.column)} of ${quoted(r)} is ${column.type}, the policy says ${clock.type}`,
      remedy: asClock(column.base),
    },
  ];
}

function isOne(r: Relation, { key }: Elsewhere): Problem[] {
  const sorted = [...key].sort().join('\0');
  if (r.indexes.some((i) => i.unique && i.partial === null && [...i.columns].sort().join('\0') === sorted))
    return [];
  const columns = key.map(name).join(', ');
  return [
    {
      problem: `(${columns}) of ${quoted(r)} is not unique: a row could go by the clock of any of several`,
      remedy: createIndex(r, columns, true),
    },
  ];
}

const changesWait = (catalog: Catalog, r: Relation, { key }: Elsewhere): Problem[] =>
  waitsAnyway(catalog, r) ? [] : gateOnDate(r, [catalog.policy.clock.column, ...key], ['update', 'delete']);

/** A gate on these columns. A trigger on single columns does not fire for what another trigger writes into them. */
export function gateOnDate(
  r: Relation,
  columns: readonly string[],
  events: readonly ('insert' | 'update' | 'delete')[],
): Problem[] {
  const isWritten = r.triggers.some((t) => t.each_row && t.on.includes('update') && t.schema !== 'retention');
  const gates = r.triggers.filter((t) => t.schema === 'retention' && t.function === 'gate' && !t.conditional);
  const covers = (t: Relation['triggers'][number]) =>
    t.columns.length === 0 || (!isWritten && columns.every((c) => t.columns.includes(c)));
  const waits = events.every((on) => gates.some((t) => t.on.includes(on) && (on !== 'update' || covers(t))));
  if (waits) return [];
  const of = isWritten ? '' : ` OF ${[...new Set(columns)].map(name).join(', ')}`;
  const on = events.map((event) => (event === 'update' ? `UPDATE${of}` : event.toUpperCase())).join(' OR ');
  return [
    {
      problem: `${quoted(r)} has the clock and no gate: a change of it could be missed by a running batch`,
      remedy: `CREATE TRIGGER ${freeName(r, isWritten ? [] : columns)} BEFORE ${on} ON ${quoted(r)} FOR EACH STATEMENT EXECUTE FUNCTION retention.gate();`,
    },
  ];
}
