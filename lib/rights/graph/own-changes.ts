/**
 * What an erasure does with a table's own rows of the subject: it deletes them, or masks them. What was retained until an instant that is
 * over becomes empty then, and where it cannot be empty the row goes, as soon as nothing of it is retained any more. Where neither
 * may be, the check finds it and says so.
 */
import { allOf, type Sql, sql } from '../../platform/sql';
import type { MappedColumn } from '../../policies/data-map-contract';
import { type Ending, endingsOf } from '../ends';
import type { Node } from './nodes';
import { type Change, unfit } from './policy';

interface OwnChange {
  readonly change: Change;
  /** Of the subject's rows `t`, those it is for. */
  readonly rows: Sql;
}

export function ownChanges(node: Node, asOf: string): OwnChange[] {
  if (node.action === 'delete') return [{ change: { kind: 'delete' }, rows: sql`true` }];
  const { table, line } = node;
  const retained = line?.columns.filter((c) => c.handling.kind === 'retain') ?? [];
  const masked = line?.columns.filter((c) => c.handling.kind === 'mask') ?? [];
  const isUnfit = unfit(node, 'mask').length > 0;
  const endings = isUnfit ? [] : endingsOf(retained, (column) => isInstant(node, column));
  const canBeEmpty = ({ columns }: Ending) =>
    columns.every((name) => table.columns.some((c) => c.name === name && !c.required));
  const emptying = endings.filter(canBeEmpty);
  const masks = choicesOf(emptying).map((over): OwnChange => {
    const ended = retained.filter((c) => over.some((e) => e.columns.includes(c.column))).map(emptied);
    const rows = emptying.map((e) => (over.includes(e) ? isOver(e, asOf) : sql`not ${isOver(e, asOf)}`));
    // All of a row at once: what is emptied may be how it is found.
    const columns = [...ended, ...masked];
    return {
      change: { kind: 'mask', columns, ...(ended.length > 0 ? { ended } : {}) },
      rows: allOf(...rows),
    };
  });
  const changes = masks.filter(({ change }) => change.kind === 'mask' && change.columns.length > 0);
  const isAll = endings.flatMap((e) => e.columns).length === retained.length;
  const mayGo = isAll && node.action === 'retain' && line?.decision.kind !== 'permanent';
  if (emptying.length === endings.length || !mayGo) return changes;
  return [{ change: { kind: 'delete' }, rows: allOf(...endings.map((e) => isOver(e, asOf))) }, ...changes];
}

/** Each choice of some of them, also of none: a table has one or two. */
const choicesOf = ([first, ...others]: readonly Ending[]): Ending[][] =>
  first === undefined ? [[]] : choicesOf(others).flatMap((some) => [[first, ...some], some]);

/** An empty instant is never over. */
const isOver = ({ end }: Ending, asOf: string): Sql => sql`coalesce(${end} <= ${asOf}::timestamptz, false)`;

const isInstant = ({ table }: Node, column: string): boolean =>
  table.columns.some((c) => c.name === column && /^(date|timestamp)/.test(c.type));

const emptied = (column: MappedColumn): MappedColumn => ({
  ...column,
  handling: { kind: 'mask', leaves: null },
});
