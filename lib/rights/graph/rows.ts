/**
 * The reached rows of a table as a condition on `t`. A table that names the subject by itself needs no other; one that is
 * reached through others asks for them all, level by level (a recursive query that remembers each row by its place, so that
 * cycles end), within the one snapshot of its statement.
 */
import { heldItself, whenAny } from '../../engine/statement/predicate';
import { allOf, anyOf, constant, id, literal, type Sql, sql, tableId, united } from '../../platform/sql';
import type { Subject } from '../subject';
import type { Reference } from './catalog';
import type { Reached } from './edges';
import { keyOf, type Node, scopeOf } from './nodes';
import { ownChanges } from './own-changes';
import { anySeed, type Seed } from './seeds';

export interface Rows {
  /** Whether `t` is one of the rows. */
  readonly theirs: Sql;
  /** Whether a hold on the subject, or on a row through which `t` is reached, holds it. */
  readonly held: Sql;
}

export type AllReached = ReadonlyMap<string, Reached>;

export function rowsOf(all: AllReached, label: string, subject: Subject): Rows {
  const reached = all.get(label)!;
  const whole = anyOf(heldSubject(subject), heldByName(reached.node));
  if (reached.through.length === 0) return { theirs: anySeed(reached.seeds), held: whole };
  return {
    theirs: isAt('t', reached, placesOf(all, label)),
    held: anyOf(whole, isAt('t', reached, placesOf(all, label, sql`x.held`))),
  };
}

/** Rows of others that refer to reached ones by `r`. */
export function referringRows(
  all: AllReached,
  { node, by: r }: { node: Node; by: Reference },
  subject: Subject,
  asOf: string,
): Rows {
  const to = all.get(r.to)!;
  const parents = (more?: Sql) =>
    sql`exists (select 1 from ${tableId(to.node.table)} p where ${allOf(joins(r, 't', 'p'), isAt('p', to, placesOf(all, r.to, more)))})`;
  return {
    theirs: allOf(parents(), staysOf(all, r.from, asOf)),
    held: anyOf(heldSubject(subject), heldByName(node), heldAbove(all, node), parents(sql`x.held`)),
  };
}

/** Rows that name the subject in a column that they lose. */
export const namingRows = (
  all: AllReached,
  { node, by }: { node: Node; by: Seed },
  subject: Subject,
  asOf: string,
): Rows => ({
  theirs: allOf(by.condition, staysOf(all, node.label, asOf)),
  held: anyOf(heldSubject(subject), heldByName(node), heldAbove(all, node)),
});

/** A row that is reached itself is held with what it is reached through. */
function heldAbove(all: AllReached, { label }: Node): Sql | undefined {
  const itself = all.get(label);
  return itself && itself.through.length > 0
    ? isAt('t', itself, placesOf(all, label, sql`x.held`))
    : undefined;
}

/** A row that is reached itself, and goes, needs to lose nothing before. */
function staysOf(all: AllReached, label: string, asOf: string): Sql | undefined {
  const itself = all.get(label);
  const going = itself && goingOf(itself, asOf);
  if (!going) return undefined;
  return sql`not (${allOf(isAt('t', itself, placesOf(all, label)), ...going)})`;
}

/** What has to hold for a reached row to go, by itself or along with what it refers to; null: it never goes. */
function goingOf({ node, goesAlong }: Reached, asOf: string): Sql[] | null {
  if (node.action === 'delete' || (node.action === null && goesAlong)) return [];
  if (goesAlong) return null;
  const ended = ownChanges(node, asOf).find(({ change }) => change.kind === 'delete');
  return ended ? [ended.rows] : null;
}

/** A hold on the subject holds all of it. */
const heldSubject = ({ scope, id: subject }: Subject): Sql =>
  sql`exists (select 1 from retention.hold h where h.released_at is null and h.scope = ${literal(scope)} and h.subject = ${subject})`;

export const joins = (r: Reference, from: string, to: string): Sql =>
  allOf(...r.columns.map((column, i) => sql`${id(from, column)} = ${id(to, r.to_columns[i]!)}`));

/** Rows of a partitioned table are known by their partition, too. */
export const isAt = (alias: string, { node }: Reached, places: Sql): Sql =>
  node.table.partitioned
    ? sql`(${id(alias, 'tableoid')}, ${id(alias, 'ctid')}) in (select x.o, x.c from ${places})`
    : sql`${id(alias, 'ctid')} = any(array(select x.c from ${places}))`;

/** `(…) x where …`: places `(o, c)` of the reached rows of one table. */
export function placesOf(all: AllReached, label: string, more?: Sql): Sql {
  const labels = above(all, label);
  const n = (of: string): Sql => constant(labels.indexOf(of));
  return sql`(${search(all, labels, n)}) x where ${allOf(sql`x.n = ${n(label)}`, more)}`;
}

/** The table and all through which its rows are reached. */
function above(all: AllReached, label: string): string[] {
  const found = new Set([label]);
  for (const one of found) for (const r of all.get(one)!.through) found.add(r.to);
  return [...found];
}

function search(all: AllReached, labels: readonly string[], n: (label: string) => Sql): Sql {
  const nodes = labels.map((label) => all.get(label)!);
  const own = nodes
    .filter((x) => x.seeds.length > 0)
    .map(
      (x) =>
        sql`select ${n(x.node.label)} as n, t.tableoid as o, t.ctid as c, ${heldRow(x)} as held from ${tableId(x.node.table)} t where ${anySeed(x.seeds)}`,
    );
  const further = nodes.flatMap((x) =>
    x.through.map((r) => {
      const to = all.get(r.to)!.node.table;
      return sql`select ${n(r.from)} as n, t.tableoid as o, t.ctid as c, ${heldRow(x)} as held
          from ${tableId(to)} p join ${tableId(x.node.table)} t on ${joins(r, 't', 'p')}
          where r.n = ${n(r.to)} and p.tableoid = r.o and p.ctid = r.c`;
    }),
  );
  const begin = sql`select b.n, b.o, b.c, b.held from (${united(own)}) b`;
  if (further.length === 0) return begin;
  return sql`with recursive reached(n, o, c, held) as (
      ${begin}
      union
      select s.n, s.o, s.c, r.held or s.held from reached r cross join lateral (${united(further)}) s
    ) select n, o, c, held from reached`;
}

const heldRow = ({ node }: Reached): Sql =>
  sql`coalesce(${anyOf(heldItself('t', scopeOf(node), node.table, keyOf(node)), heldByName(node))}, false)`;

/** By a hold on whom a row `t` names in another column than that by which its policy finds whose it is. */
function heldByName(node: Node): Sql | undefined {
  const scope = scopeOf(node);
  const named = (['organization', 'user'] as const).flatMap((kind) =>
    [...new Set(node.owners[kind])]
      .filter((column) => column !== scope[kind])
      .map(
        (column) =>
          sql`exists (select 1 from retention.hold h where h.released_at is null and h.scope = ${literal(kind)} and h.subject = ${id('t', column)}::text)`,
      ),
  );
  return named.length > 0 ? whenAny(anyOf(...named)) : undefined;
}

/**
 * Whether a row that would go is kept here by another that a hold keeps: one that refers to it, at any depth. For a dry run,
 * which sees rows that would have gone before it.
 */
export function stuckRows(all: AllReached, references: readonly Reference[], label: string): Sql {
  const known = references.filter((r) => all.has(r.from) && all.get(r.to)?.node.action === 'delete');
  const labels = below(known, label);
  const links = known.filter((r) => labels.includes(r.from) && labels.includes(r.to));
  if (links.length === 0) return sql`false`;
  const holding = [...new Set(links.map((r) => r.from))];
  const n = (of: string): Sql => constant(labels.indexOf(of));
  const held = holding.map((of) => {
    const x = all.get(of)!;
    return sql`select ${n(of)} as n, t.tableoid as o, t.ctid as c from ${tableId(x.node.table)} t
      where ${heldRow(x)} and ${isAt('t', x, placesOf(all, of))}`;
  });
  const up = links.map((r) => {
    const [from, to] = [all.get(r.from)!.node.table, all.get(r.to)!.node.table];
    return sql`select ${n(r.to)} as n, p.tableoid as o, p.ctid as c from ${tableId(from)} t
          join ${tableId(to)} p on ${joins(r, 't', 'p')} where s.n = ${n(r.from)} and t.tableoid = s.o and t.ctid = s.c`;
  });
  const stuck = sql`(with recursive stuck(n, o, c) as (
      select b.n, b.o, b.c from (${united(held)}) b
      union
      select u.n, u.o, u.c from stuck s cross join lateral (${united(up)}) u
    ) select n, o, c from stuck) x where x.n = ${n(label)}`;
  return whenAny(isAt('t', all.get(label)!, stuck));
}

/** The table and all that refer to it, at any depth. */
export function below(links: readonly Reference[], label: string): string[] {
  const found = new Set([label]);
  for (const one of found) for (const r of links) if (r.to === one) found.add(r.from);
  return [...found];
}
