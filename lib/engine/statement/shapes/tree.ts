/**
 * Rows with what hangs on them, at any depth. The governed rows are picked, judged and locked; then, level by level and each in
 * a statement of its own, whatever goes with them and has something below it (retention.lock_tree): a locked row gets nothing
 * new below it, so the deleting statement sees every row that exists. It deletes all levels at once, each row by its place.
 *
 * A batch is bounded by all rows it deletes. Where those of the picked rows are more, fewer of them go, and the next batch
 * begins where this one did. A single row with more than a batch below it is taken apart (retention.take_apart): the rows that
 * have nothing below them first, batch by batch, itself last.
 */
import {
  cte,
  id,
  inlined,
  list,
  literal,
  raw,
  type Sql,
  sql,
  summed,
  table,
  tableId,
  typed,
  united,
} from '../../../platform/sql';
import { contentsOf } from '../../../policies/contents';
import type { Policy } from '../../../policies/contract';
import { detachedDependants, mayStay } from '../../../policies/going';
import { type Branch, isLeaf, type Place, type Tree, treeOf } from '../../../policies/tree';
import { childrenOf, furtherDown, number, parentOf } from '../below';
import { lockingContents, lockingContentsOfTree } from '../contents';
import { detachingAlong } from '../detach-tree';
import { belongs } from '../files';
import { type Batch, type BatchRequest, mostRowsOf } from '../request';
import { spared } from '../spared/judge';
import { sparing } from '../spared/settle';
import { belowRows, LOCKED_PLACES, lockedAgain, lockFirst, SEEN_BEFORE } from './locked';
import type { Along, Shape } from './shape';
import { clear, treeOfRows } from './tree-rows';

export function tree(b: Batch): Shape {
  const grown = treeOf(b.policy);
  const steps = stepsOf(b);
  const hasMore = detachedDependants(b.policy).length + contentsOf(b.policy).length > 0;
  const walks = isTakenApart(b) || steps.length > 0 || hasMore;
  const settling = [
    spared(b.walk).length > 0 && sparing(b, LOCKED_PLACES),
    lockingContents(b, LOCKED_PLACES),
    walks && sql`select ${walking(b)}`,
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

/** One row is taken apart at a time. */
const isTakenApart = ({ request }: Batch): boolean => request.position?.apart === true;
export const picking = (b: Batch): Batch =>
  isTakenApart(b) ? { ...b, request: { ...b.request, most: 1 } } : b;

/** Whether the governed rows that go are those that were locked first. */
const isPlain = (b: Batch): boolean => !isTakenApart(b) && !treeOf(b.policy).takesGoverned;

/**
 * Whether as few rows are expected below the picked ones as there were before. Then what has nothing below it is not counted before it goes,
 * which would cost as much as its deletion. The deleting statement itself counts it: were it more than a batch may take, or took
 * it too long, nothing goes, and the batch is asked again in the form that counts first.
 */
const isTrusted = (b: Batch): boolean => b.request.rowsOfEach !== undefined && !isTakenApart(b);
function uncounted(request: BatchRequest): Pick<Shape, 'most' | 'instead'> {
  const most = mostRowsOf(request);
  const { rowsOfEach: _, ...counted } = request;
  return { most, instead: { when: 'overrun', ask: { ...counted, mostRows: most } } };
}
/** Twelve times what a batch should take: so long its locks may be held for nothing. */
const MOST_MS = 1_000;
const takesNoLonger = ({ request }: Batch): Sql =>
  sql`set_config('statement_timeout', ${literal(`${Math.min(MOST_MS, Math.max(1, Math.round(request.statementTimeoutMs)))}ms`)}, true)`;

/** How few rows go the planner cannot know: it would read whole tables for them, or keep rows at hand that are never asked for again. */
const PINNED = ['enable_seqscan', 'enable_bitmapscan', 'enable_mergejoin', 'enable_memoize'].map(
  (name) => sql`set_config(${literal(name)}, 'off', true)`,
);

/** Walks down from the locked rows and leaves what it found. */
export function walking(b: Batch): Sql {
  const { policy, request } = b;
  const called = raw(isTakenApart(b) ? 'retention.take_apart' : 'retention.lock_tree');
  const isDeep = isTakenApart(b) && treeOf(policy).isCircular;
  return sql`${called}(${list(
    literal(table(policy.table)),
    typed(JSON.stringify(stepsOf(b)), 'jsonb'),
    typed(mostRowsOf(request), 'bigint'),
    isDeep && typed(inlined(down(policy)), 'text'),
  )})`;
}

/** All that lies below the row at `$1`, `$2`, each as often as rows refer to it that lie there, with one of those: at most `$3` of these. */
const down = (policy: Policy): Sql => sql`with recursive b(n, o, c, po, pc) as (
      select 0, $1::oid, $2::tid, null::oid, null::tid
      union
      select x.n, x.o, x.c, b.o, b.c from b cross join lateral (${furtherDown(policy)}) x
    ) select ${list(...['n', 'o', 'c', 'po', 'pc'].map((column) => sql`array_agg(${id('y', column)} order by y.o, y.c, y.po, y.pc)`))} from (select * from b limit $3) y`;

const stepsOf = (b: Batch): object[] =>
  treeOf(b.policy)
    .branches.filter(({ place }) => !(isTrusted(b) && isLeaf(b.policy, place)))
    .map((branch) => step(b, branch));

/** One step downwards, as texts that the database executes: `$1`, `$2` and `$3` are the rows above, `$4` how many are wanted. */
function step({ policy }: Batch, { declared, from, place }: Branch): object {
  const { branches, isCircular } = treeOf(policy);
  const above = sql`unnest($1::oid[], $2::tid[], $3::tid[]) x(o, c, r) ${parentOf(from, 'x')}`;
  const found = (lock: Sql) =>
    inlined(sql`select array_agg(y.o), array_agg(y.c), array_agg(y.r) from (
      select d.o, d.c, x.r from ${above} ${childrenOf(declared, place.table, policy, sql`limit $4${lock}`)} limit $4) y`);
  return {
    from: from.n,
    to: place.n,
    table: table(place.table),
    leaf: isLeaf(policy, place),
    once: !isCircular && branches.filter((x) => x.place === place).length === 1,
    lock: found(sql` for update`),
    look: found(sql``),
    count: inlined(
      sql`select count(*) from (select 1 from ${above} ${childrenOf(declared, place.table, policy, sql`limit $4`)} limit $4) y`,
    ),
  };
}

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
