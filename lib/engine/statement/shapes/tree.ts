/**
 * Rows with what hangs on them, at any depth. The governed rows are picked, judged and locked; then, level by level and each in
 * a statement of its own, whatever goes with them and has something below it (retention.lock_tree): a locked row gets nothing
 * new below it, so the deleting statement sees every row that exists. It deletes all levels at once, each row by its place.
 *
 * A batch is bounded by all rows it deletes. Where those of the picked rows are more, fewer of them go, and the next batch
 * begins where this one did. A single row with more than a batch below it is taken apart (retention.take_apart): the rows that
 * have nothing below them first, batch by batch, itself last.
 */
import { cte, id, list, literal, type Sql, sql, summed, tableId, typed, united } from '../../../platform/sql';
import { contentsOf } from '../../../policies/contents';
import { detachedDependants, mayStay } from '../../../policies/going';
import { isLeaf, type Place, type Tree, treeOf } from '../../../policies/tree';
import { leavesChanged } from '../archived';
import { number, parentOf } from '../below';
import { lockingContents, lockingContentsOfTree } from '../contents';
import { detachingAlong } from '../detach-tree';
import { belongs } from '../files';
import { type Batch, type BatchRequest, mostRowsOf } from '../request';
import { spared } from '../spared/judge';
import { sparing } from '../spared/settle';
import { belowRows, LOCKED_PLACES, lockedAgain, lockFirst, SEEN_BEFORE } from './locked';
import type { Along, Shape } from './shape';
import { clear, treeOfRows } from './tree-rows';
import { isTakenApart, isTrusted, PINNED, picking, stepsOf, walking } from './tree-steps';

export function tree(b: Batch): Shape {
  const grown = treeOf(b.policy);
  const steps = stepsOf(b);
  const hasMore = detachedDependants(b.policy).length + contentsOf(b.policy).length > 0;
  const walks = isTakenApart(b) || steps.length > 0 || hasMore;
  const settling = [
    spared(b.walk).length > 0 && sparing(b, LOCKED_PLACES),
    lockingContents(b, LOCKED_PLACES),
    walks && sql`select ${walking(b)}`,
    leavesChanged(b, LOCKED_PLACES),
  ].filter((x) => x !== false && x !== null);
  const [second = null, ...between] = settling;
  const along = grown.places.filter((p) => p.n > 0).flatMap((p) => alongOf(b, grown, p));
  return {
    settings: [...PINNED, ...(isTrusted(b) ? [takesNoLonger(b)] : [])],
    first: lockFirst(picking(b)),
    second,
    between: [...between, ...lockingContentsOfTree(b), ...detachingAlong(b)],
    ...leading(b, walks),
    rows: sql`t.ctid = any(array(select c from locked))`,
    along,
    labels: 'locked',
    locked: sql`((select count(*) from locked) + ${stayedBehind(grown, along)})`,
    seen: [walks ? seen(b) : SEEN_BEFORE],
    ...(isTrusted(b) ? uncounted(b.request) : {}),
  };
}

/** Parts in front of the deletion, of which `locked(c, label)` are the governed rows that go, or are changed. */
function leading(b: Batch, walks: boolean): Pick<Shape, 'lead' | 'hasOwners' | 'hasTree'> {
  if (isPlain(b)) {
    return walks
      ? { lead: [lockedAgain(b), treeOfRows(b, 'locked')], hasTree: true }
      : { lead: [lockedAgain(b)] };
  }
  const lead = [clear(b), treeOfRows(b, 'clear'), owners(b), LOCKED];
  return {
    lead: [...(treeOf(b.policy).takesGoverned ? b.walk.lead : []), ...lead],
    hasOwners: true,
    hasTree: true,
  };
}

/** Whether the governed rows that go are those that were locked first. */
const isPlain = (b: Batch): boolean => !isTakenApart(b) && !treeOf(b.policy).takesGoverned;

function uncounted(request: BatchRequest): Pick<Shape, 'most' | 'instead'> {
  const most = mostRowsOf(request);
  const { rowsOfEach: _, ...counted } = request;
  return { most, instead: { when: 'overrun', ask: { ...counted, mostRows: most } } };
}
/** Twelve times what a batch should take: so long its locks may be held for nothing. */
const MOST_MS = 1_000;
const takesNoLonger = ({ request }: Batch): Sql =>
  sql`set_config('statement_timeout', ${literal(`${Math.min(MOST_MS, Math.max(1, Math.round(request.statementTimeoutMs)))}ms`)}, true)`;

const LOCKED = cte(
  'locked',
  sql`select x.c, w.label from tree x join owners w using (c) where x.n = 0`,
  true,
);

/** Part `owners(c, label, tenant)`: of every governed row that something goes with, itself included. */
function owners({ walk, policy }: Batch): Sql {
  const tenant = policy.tenants && sql`${id('t', policy.tenants.column)}::text as tenant`;
  const labels = walk.ownLabel === null ? sql`current_setting('lapse.labels')::text[]` : sql`null::text[]`;
  const label = walk.ownLabel === null ? sql`l.label` : sql`${walk.label} as label`;
  return cte(
    'owners',
    sql`
    select distinct on (x.c) ${list(sql`x.c`, label, tenant)} from (
      select u.c, u.c as r, u.label from unnest(${LOCKED_PLACES}, ${labels}) u(c, label)
      union all select g.c, g.r, null from tree g where g.n = 0
    ) x
    left join unnest(${LOCKED_PLACES}, ${labels}) l(c, label) on l.c = x.r
    join only ${tableId(policy.table)} t on t.ctid = x.c
  `,
    true,
  );
}

/** The rows of one place: those that were locked, or, where nothing lies below them, whatever refers to locked ones. */
function alongOf(b: Batch, grown: Tree, place: Place): Along[] {
  const { policy } = b;
  const root = goesFiles(place)
    ? sql` cross join lateral (select t.* from only ${tableId(policy.table)} t where t.ctid = x.r offset 0) t`
    : sql``;
  if (isTakenApart(b) || !isLeaf(policy, place)) {
    const using = sql`(select x.o, x.c, x.r from tree x where x.n = ${number(place)}) x${root}`;
    return [{ place, using, where: sql`d.tableoid = x.o and d.ctid = x.c`, root: sql`x.r` }];
  }
  return grown.branches
    .filter((x) => x.place === place)
    .map(({ declared, from }) =>
      isPlain(b) && from.n === 0
        ? belowRows(b, place, declared)
        : {
            place,
            using: sql`(select x.r, p.* from tree x ${parentOf(from, 'x')} where x.n = ${number(from)}) x${root}`,
            where: belongs(declared, policy, 'd', 'x'),
            root: sql`x.r`,
          },
    );
}
const goesFiles = (place: Place): boolean => place.files.some((f) => f.fate === 'delete');

/** How many rows a declared trigger has kept that should have gone along: the batch then takes none. */
function stayedBehind(grown: Tree, along: readonly Along[]): Sql {
  const watched = grown.places.filter(
    (p) => p.n > 0 && grown.branches.some((x) => x.place === p && mayStay(x.declared)),
  );
  return summed(
    watched.map((place) => {
      const ways = along.map((a, i) => ({ a, i })).filter(({ a }) => a.place === place);
      const meant = united(
        ways.map(
          ({ a }) =>
            sql`select d.tableoid, d.ctid from ${tableId(place.table)} d, ${a.using} where ${a.where}`,
        ),
      );
      const went = summed(ways.map(({ i }) => sql`(select count(*) from ${id(`d${i}`)})`));
      return sql`(select count(*) from (select distinct * from (${meant}) y) z) - (${went})`;
    }),
  );
}

/** What the first statement has seen; or, where not all of it goes, that the next batch begins at the same place. */
function seen({ request }: Batch): Sql {
  const { apart: _, ...here } = request.position ?? { clock: null, key: [] };
  const place = request.blocks ? { ...here, block: request.blocks.from } : here;
  return cte(
    'seen',
    sql`
    select case w.state when 'whole' then s.picked else (select count(*)::int from locked) end as picked,
      case w.state when 'whole' then s.kept else '{}' end as kept,
      case w.state when 'whole' then s.after
        else ${typed(JSON.stringify({ ...place, ended: false }), 'jsonb')} || case w.state when 'apart' then '{"apart": true}' else '{}' end::jsonb end as after
    from jsonb_to_record(current_setting('lapse.seen')::jsonb) s(picked int, kept jsonb, after jsonb)
      cross join (select current_setting('lapse.state') as state) w
  `,
    true,
  );
}
