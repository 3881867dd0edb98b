/**
 * Rows through which others are reached. Masked too early, they would take away how these are found, and something of the
 * subject would stay that nobody looks for. Where tables refer to each other in a circle, or to themselves, no order of tables
 * keeps that: there it is asked row by row, and the last of a chain is masked first.
 */
import { allOf, constant, type Sql, sql, tableId, united } from '../../platform/sql';
import type { Reference } from './catalog';
import { type AllReached, below, isAt, joins, placesOf } from './rows';
import { anySeed } from './seeds';

const linksOf = (all: AllReached): Reference[] => [...all.values()].flatMap(({ through }) => through);

/** Tables that lead to each other, this one included; empty: it is in no circle. */
export function circleOf(all: AllReached, label: string): string[] {
  const links = linksOf(all);
  const around = below(links, label).filter((of) => below(links, of).includes(label));
  const isAlone = around.length === 1 && !links.some((r) => r.from === label && r.to === label);
  return isAlone ? [] : around;
}

/**
 * Whether a row `t` of a table leads to one that still has to go or to be masked and that is found in no other way than through
 * others. `pending`: what is still to be done with rows of a table; null: nothing ever.
 */
export function leadingRows(all: AllReached, label: string, pending: (label: string) => Sql | null): Sql {
  const links = linksOf(all);
  const labels = below(links, label);
  const n = (of: string): Sql => constant(labels.indexOf(of));
  const undone = labels.flatMap((of) => {
    const x = all.get(of)!;
    const isPending = pending(of);
    if (isPending === null || x.through.length === 0) return [];
    const isFound = x.seeds.length > 0 && sql`(${anySeed(x.seeds)}) is not true`;
    return sql`select ${n(of)} as n, t.tableoid as o, t.ctid as c from ${tableId(x.node.table)} t
      where ${allOf(isPending, isFound, isAt('t', x, placesOf(all, of)))}`;
  });
  const up = links
    .filter((r) => labels.includes(r.from) && labels.includes(r.to))
    .map((r) => {
      const [from, to] = [all.get(r.from)!.node.table, all.get(r.to)!.node.table];
      return sql`select ${n(r.to)} as n, p.tableoid as o, p.ctid as c from ${tableId(from)} t
          join ${tableId(to)} p on ${joins(r, 't', 'p')} where s.n = ${n(r.from)} and t.tableoid = s.o and t.ctid = s.c`;
    });
  const leading = sql`(with recursive leads(n, o, c) as (
      select u.n, u.o, u.c from (${united(undone)}) s cross join lateral (${united(up)}) u
      union
      select u.n, u.o, u.c from leads s cross join lateral (${united(up)}) u
    ) select n, o, c from leads) x where x.n = ${n(label)}`;
  return isAt('t', all.get(label)!, leading);
}
