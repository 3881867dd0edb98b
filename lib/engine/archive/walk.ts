/**
 * Which rows the archive of a batch holds: those the batch may delete and, level by level, all that goes with them, found by the
 * batch's own steps, READ ONLY and without locks. So many governed rows as all of theirs fit into one batch; of a single one with
 * more below it, which is taken apart, the deepest rows, and above them those they hang on, by whom they may be reached.
 */
import { z } from 'zod';
import { nothing, oneRow, type Query, query } from '../../platform/query';
import type { Asking } from '../../platform/session';
import { allOf, cte, keyAsText, list, type Sql, sql, typed, united, withParts } from '../../platform/sql';
import { namesFiles } from '../../policies/contents';
import type { Policy } from '../../policies/contract';
import { goingDependants } from '../../policies/going';
import { strategyOf } from '../../policies/strategies';
import { treeOf } from '../../policies/tree';
import { furtherUp } from '../statement/above';
import { mayGo } from '../statement/predicate';
import { type BatchRequest, batchOf, mostRowsOf } from '../statement/request';
import { TREE_LEFT } from '../statement/shapes/tree-left';
import { PINNED, picking, walking } from '../statement/shapes/tree-steps';
import { shapesOf, type TableShape } from './columns';

/** Reading takes longer than a batch's own statements. */
export const READING = { statementMs: 15_000 };
/** Governed rows of one archive: enough for the fixed cost of its requests, few enough to be read back within a batch's share of a run. */
const MOST_ROWS = 5_000;
/** Each file is read, written and read back: some fifty a second. */
const MOST_WITH_FILES = 250;
/** Rows of all tables: so many versions are a megabyte of the batch's own request. */
const MOST_IN_ALL = 20_000;
const MOST_IN_ALL_WITH_FILES = 1_000;

const copiesFiles = (policy: Policy): boolean =>
  strategyOf(policy).archive?.files !== 'none' && namesFiles(policy);

/** How many rows a batch of this policy looks at, at most. */
export function mostArchived(policy: Policy): number {
  if (strategyOf(policy).archive === null) return Number.POSITIVE_INFINITY;
  return copiesFiles(policy) ? MOST_WITH_FILES : MOST_ROWS;
}

/** Where a row lies, and the governed row it goes with, by its key. */
export interface Place {
  readonly o: string;
  readonly c: string;
  readonly root: string;
}

export interface Found {
  /** The batch that deletes what was found, and nothing else. */
  readonly request: BatchRequest;
  /** The key of the row that is taken apart; null where whole ones go. */
  readonly root: string | null;
  readonly shapes: readonly TableShape[];
  /** Of each place of the tree: the rows that go, and those above them that stay for now. */
  readonly going: readonly (readonly Place[])[];
  readonly staying: readonly (readonly Place[])[];
}

const Picked = z.object({ k: z.string().nullable(), o: z.string(), c: z.string() });
const Looked = z.object({ picked: z.array(Picked) });
const Left = z.object({ n: z.number(), o: z.string(), c: z.string(), r: z.string(), stays: z.boolean() });
const Walked = z.object({
  state: z.enum(['whole', 'cut', 'apart']),
  roots: z.array(z.string()),
  rows: z.array(Left),
});
type Looked = z.infer<typeof Looked> & z.infer<typeof Walked> & { readonly shapes: readonly TableShape[] };

/** Null where nothing may go. */
export async function rowsToArchive(reading: Asking, asked: BatchRequest): Promise<Found | null> {
  const request = bounded(asked);
  const found = await look(reading, request);
  if (found.picked.every((p) => p.k === null)) return null;
  if (found.state !== 'apart' || isApart(request)) return foundBy(request, found);
  // The first row alone has more than a batch below it.
  const at = request.position ?? { clock: null, key: [] };
  const apart: BatchRequest = { ...request, position: { ...at, apart: true } };
  return foundBy(apart, await look(reading, apart));
}

const isApart = ({ position }: BatchRequest): boolean => position?.apart === true;

/** What the reader and the batch walk down to, whatever went with each row before. */
function bounded(request: BatchRequest): BatchRequest {
  const most = copiesFiles(request.policy) ? MOST_IN_ALL_WITH_FILES : MOST_IN_ALL;
  const { rowsOfEach: _, ...counted } = request;
  return { ...counted, mostRows: Math.min(most, mostRowsOf(request)) };
}

async function look(reading: Asking, request: BatchRequest): Promise<Looked> {
  const { policy } = request;
  const shapes = shapesOf(treeOf(policy).places.map((p) => p.table));
  if (goingDependants(policy).length === 0) {
    const { picked, ...answered } = await reading.ask({ picked: pick(request), shapes }, READING);
    const free = picked.picked.filter((p) => p.k !== null);
    const rows = free.map(({ o, c }) => ({ n: 0, o, c, r: c, stays: false }));
    return { ...answered, ...picked, state: 'whole', roots: free.map((p) => p.c), rows };
  }
  const b = batchOf(request);
  const {
    pinned: _,
    walked: __,
    picked,
    left,
    ...answered
  } = await reading.ask(
    {
      pinned: query(sql`select ${list(...PINNED)}`, nothing),
      picked: pick(request),
      walked: query(sql`select ${walking(b, 'read')}`, nothing),
      left: whatIsLeft(request),
      shapes,
    },
    READING,
  );
  return { ...answered, ...picked, ...left };
}

/** What the batch will pick, in its order; with the key where it may go. Leaves the places of those to the walk. */
function pick(request: BatchRequest): Query<z.infer<typeof Looked>> {
  const { walk, policy, request: asked } = picking(batchOf(request));
  const first = asked.most === undefined ? sql`` : sql` limit ${typed(asked.most, 'bigint')}`;
  const may = allOf(sql`t.ctid = any(array(select c from picked))`, mayGo(walk));
  const parts = withParts(
    ...walk.picked(request.position, request.limit),
    cte(
      'placed',
      sql`select p.c, row_number() over (order by ${list(...walk.columns)}) as place from picked p`,
      true,
    ),
    cte(
      'free',
      sql`select t.ctid as c, t.tableoid as o, ${keyAsText('t', policy.key)} as key from ${walk.rows} where ${may} order by ${walk.order}${first}`,
      true,
    ),
    cte('looked', sql`select p.place, p.c, f.o, f.key from placed p left join free f using (c)`, true),
  );
  return query(
    sql`${parts}select coalesce((select json_agg(json_build_object('k', l.key, 'o', coalesce(l.o, 0)::text, 'c', l.c::text) order by l.place) from looked l), '[]') as picked,
    ${list(
      sql`set_config('lapse.rows', coalesce((select array_agg(l.c order by l.place)::text from looked l where l.key is not null), '{}'), true)`,
      sql`set_config('lapse.labels', '{}', true)`,
    )}`,
    oneRow(Looked),
  );
}

/** What the walk has left. Of a row that is taken apart also what lies above the rows that were chosen. */
function whatIsLeft(request: BatchRequest): Query<z.infer<typeof Walked>> {
  const tree = cte('tree', sql`select x.n, x.o, x.c, x.r from ${TREE_LEFT}`, true);
  const roots = sql`nullif(current_setting('lapse.rows'), '{}')::tid[]`;
  const above = isApart(request) ? rowsAboveThese(request.policy) : null;
  const all: Sql[] = [sql`select n, o, c, r, false as stays from tree`, ...(above ? [above] : [])];
  return query(
    sql`${withParts(tree)}select current_setting('lapse.state') as state, coalesce(array_to_json(${roots}::text[]), '[]') as roots,
    coalesce((select json_agg(json_build_object('n', y.n, 'o', y.o::text, 'c', y.c::text, 'r', y.r::text, 'stays', y.stays)) from (${united(all)}) y), '[]') as rows`,
    oneRow(Walked),
  );
}

const rowsAboveThese = (policy: Policy): Sql =>
  sql`(with recursive u(n, o, c) as (
      select n, o, c from tree union select x.n, x.o, x.c from u cross join lateral (${furtherUp(policy)}) x
    ) select u.n, u.o, u.c, (current_setting('lapse.rows')::tid[])[1] as r, true as stays from u
      where (u.n, u.o, u.c) not in (select n, o, c from tree))`;

function foundBy(request: BatchRequest, { picked, roots, rows, shapes }: Looked): Found {
  const keys = new Map(picked.flatMap((p) => (p.k === null ? [] : [[p.c, p.k] as const])));
  const taken = new Set(roots);
  // The batch looks at these and no further: what lies behind them is in no archive.
  const next = picked.findIndex((p) => p.k !== null && !taken.has(p.c));
  const last = isApart(request) ? picked.findIndex((p) => taken.has(p.c)) + 1 : next;
  const limit = last > 0 ? last : request.limit;
  const of = (n: number, stays: boolean): Place[] =>
    rows.filter((x) => x.n === n && x.stays === stays).map(({ o, c, r }) => ({ o, c, root: keys.get(r)! }));
  const places = treeOf(request.policy).places;
  return {
    request: { ...request, limit },
    root: isApart(request) ? (keys.get(roots[0]!) ?? null) : null,
    shapes,
    going: places.map((p) => of(p.n, false)),
    staying: places.map((p) => of(p.n, true)),
  };
}
