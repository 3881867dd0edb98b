/**
 * The dry run: the batch's own picking and predicate inside a READ ONLY transaction, with a count where the
 * batch deletes. Page by page, each bounded, so it never holds a snapshot for long and can stop in time.
 * What would go is also hashed, row by row in the order of the walk, each row with everything deleted with it:
 * the same hash means the same rows, however the pages fall (G3).
 */
import { z } from 'zod';
import { oneRow, type Query, query } from '../../platform/query';
import {
  allOf,
  cte,
  id,
  jsonArray,
  jsonObject,
  keyAsText,
  lines,
  list,
  literal,
  raw,
  type Sql,
  sql,
  summed,
  tableId,
  tableLabel,
  typed,
  utc,
  withParts,
} from '../../platform/sql';
import { contentsOf } from '../../policies/contents';
import type { Dependant, Policy } from '../../policies/contract';
import { detachedDependants, goingDependants, ownFiles } from '../../policies/going';
import { parentTable } from '../../policies/hanging';
import { type Place, placeOf, treeOf } from '../../policies/tree';
import { goesInAny } from './above';
import { furtherDown, number, parentOf } from './below';
import { contentBy } from './contents-preview';
import { belongs, bytesOf, capped, filesOf } from './files';
import { hashOf, hashOfAll } from './hash-of';
import { KeptCounts, staysBecause } from './keeping';
import { onLeaf } from './leaf-by-leaf';
import { type Leg, Position } from './leg';
import type { Walk } from './legs';
import { walkBeside } from './legs/beside';
import { countedOnce, mayHangOnSeveral } from './once';
import { progress, REASONS } from './pick';
import { mayGo } from './predicate';

/** Rows a page: large enough that the request costs little, small enough to stay well under a second. */
const PREVIEW_PAGE = 20_000;
/** With dependants, each row costs a look at theirs. */
const PREVIEW_PAGE_WITH_DEPENDANTS = 5_000;
export const pageOf = (policy: Policy): number =>
  goingDependants(policy).length + detachedDependants(policy).length > 0
    ? PREVIEW_PAGE_WITH_DEPENDANTS
    : PREVIEW_PAGE;
/** Where the hash of the rows begins. */
export const NO_ROWS = '0'.repeat(64);
/** Keys shown to the reader. */
const SAMPLE = raw('20');

const count = z.coerce.number().int().nonnegative();
export const PreviewPage = z.object({
  picked: count,
  by_rule: z.record(z.string(), z.object({ expired: count, bytes: count, files: count })),
  kept: KeptCounts,
  /** Rows that would go along, by their table. */
  dependants: z.record(z.string(), count),
  /** References that would be taken away, by the table of the rows that have them. */
  detached: z.record(z.string(), count),
  /** The hash of all rows up to here. */
  rows_sha256: z.string().regex(/^[0-9a-f]{64}$/),
  sample: z.array(z.string()),
  oldest: z.string().nullable(),
  newest: z.string().nullable(),
  /** A row that no receipt could name is refused before a run; a dry run passes it by. */
  after: Position.extend({
    ended: z.boolean(),
    key: z.array(
      z
        .string()
        .nullable()
        .transform((k) => k ?? ''),
    ),
  }),
});
export type PreviewPage = z.infer<typeof PreviewPage>;

/** `only`: rows for which this condition on `t` is not true are passed by, as if they were not there. */
interface PageOptions {
  readonly limit?: number;
  readonly rowsSha256?: string;
  readonly only?: Sql | undefined;
  /** All legs of the policy: rows of others may refer to what a row of this one refers to. */
  readonly legs?: readonly Leg[];
}

/** Takes the same arguments as a batch and reads what it would delete. */
export function previewPage(
  declared: Policy,
  leg: Leg,
  position: Position | null,
  asOf: string,
  { limit = pageOf(declared), rowsSha256 = NO_ROWS, only, legs = [leg] }: PageOptions = {},
): Query<PreviewPage> {
  const policy = onLeaf(declared, leg);
  const w = walkBeside(policy, leg, legs, asOf);
  const parts = withParts(
    ...w.picked(position, limit),
    progress(w, limit),
    judged(w, only),
    cte('stayed', sql`select stays as reason, count(*) as n from judged where stays is not null group by 1`),
    ...going(
      policy,
      contentsOf(policy).map((c, i) => contentBy(policy, c, i, legs, asOf)),
      mayHangOnSeveral(policy)
        ? countedOnce(policy, declared, allOf(goesInAny(declared, legs, asOf), only && sql`(${only})`))
        : null,
    ),
  );
  return query(
    sql`${parts}select at.picked, ${REASONS} as kept, at.after,
    coalesce((
      select jsonb_object_agg(r.label, jsonb_build_object('expired', r.n, 'bytes', ${capped(sql`r.bytes`)}, 'files', r.files))
      from (select g.label, count(*) as n, sum(g.bytes) as bytes, sum(g.files) as files from going g group by 1) r
    ), '{}') as by_rule,
    ${dependantCounts(policy)} as dependants,
    ${detachedIn(policy)} as detached,
    retention.chain_rows(${typed(rowsSha256, 'text')}, coalesce((
      select array_agg(jsonb_build_array(g.label, g.key, g.bytes, g.files, g.along)::text order by g.n) from going g), '{}')) as rows_sha256,
    coalesce((select jsonb_agg(s.key) from (select g.key from going g order by g.clk, g.key limit ${SAMPLE}) s), '[]') as sample,
    ${utc(sql`(select min(clk) from going)`)} as oldest,
    ${utc(sql`(select max(clk) from going)`)} as newest
  from at`,
    oneRow(PreviewPage),
  );
}

/** Part `judged`: what was picked, in its order, and why each stays; `stays` null: it would go. */
const judged = (w: Walk, only: Sql | undefined): Sql =>
  cte(
    'judged',
    sql`
    select t.ctid as c, x.n, ${w.label} as label, ${keyAsText('t', w.policy.key)} as key, ${w.instant} as clk,
      (${bytesOf('t', ownFiles(w.policy))})::bigint as bytes, (${filesOf('t', ownFiles(w.policy))})::bigint as files,
      case when ${mayGo(w)} then null else coalesce(${staysBecause(w)}, 'busy') end as stays
    from ${w.rows}
    join (select c, row_number() over (order by ${list(...w.columns)}) as n from picked) x on x.c = t.ctid
    where ${allOf(sql`t.ctid = any(array(select c from picked))`, only && sql`(${only})`)}
  `,
    true,
  );

/** Part `going`: the judged rows that would go, with what goes along or loses its reference: rows, bytes and files, and a hash of the keys. */
/** `contents`: a part `c<i>(r, n, bytes, files, keys)` for each table that the rows refer to. */
function going(policy: Policy, contents: readonly Sql[], once: Sql | null): Sql[] {
  const places = treeOf(policy).places.filter((p) => p.n > 0);
  const detached = detachedDependants(policy);
  if (places.length + detached.length + contents.length === 0) {
    return [cte('going', sql`select j.*, '[]'::jsonb as along from judged j where j.stays is null`, true)];
  }
  const along = [
    ...places.map((p) => ({ d: id(`d${p.n}`), n: id(`n${p.n}`), what: sql`` })),
    ...contents.map((_, i) => ({ d: id(`c${i}`), n: id(`o${i}`), what: sql`` })),
  ];
  const losing = detached.map((_, i) => ({ d: id(`e${i}`), n: id(`m${i}`), what: sql`, 'set-null'` }));
  const both = [...along, ...losing];
  const sum = (column: string) =>
    summed([id('j', column), ...along.map(({ d }) => sql`coalesce(${d}.${id(column)}, 0)`)]);
  const none = hashOf(sql`''`);
  return [
    ...(once === null ? [] : [hanging(policy), once]),
    below(policy, once !== null),
    ...places.map((p) => alongBy(p, once === null ? 'below' : 'counted')),
    ...contents,
    ...detached.map((d, i) => losingBy(policy, d, i)),
    cte(
      'going',
      sql`
    select j.n, j.label, j.key, j.clk, ${sum('bytes')} as bytes, ${sum('files')} as files, ${list(...both.map(({ d, n }) => sql`coalesce(${d}.n, 0) as ${n}`))},
      ${jsonArray(both.map(({ d, what }) => sql`jsonb_build_array(coalesce(${d}.n, 0), coalesce(${d}.keys, ${none})${what})`))} as along
    from judged j
    ${lines(...both.map(({ d }) => sql`left join ${d} on ${d}.r = j.n`))}
    where j.stays is null
  `,
      true,
    ),
  ];
}

/** Part `below(n, o, c, r)`: the rows of the page that go and all that goes with them, each row once; governed rows are judged by themselves. */
const below = (policy: Policy, hasHanging: boolean): Sql =>
  cte(
    'below',
    sql`
    ${hasHanging ? sql`select n, o, c, min(r) as r from hanging group by n, o, c` : walked(policy, sql`select n, o, c, min(r) as r from b group by n, o, c`)}
  `,
    true,
  );

/** Part `hanging(n, o, c, r)`: the same, each row once for every row of the page that it goes with. */
const hanging = (policy: Policy): Sql =>
  cte('hanging', sql`${walked(policy, sql`select n, o, c, r from b`)}`, true);

function walked(policy: Policy, read: Sql): Sql {
  const further = sql`
      union
      select x.n, x.o, x.c, x.r from b cross join lateral (${furtherDown(policy, raw('r'))}) x where x.n > 0`;
  return sql`with recursive b(n, o, c, r) as (
      select 0, t.tableoid, j.c, j.n from judged j join only ${tableId(policy.table)} t on t.ctid = j.c where j.stays is null${treeOf(policy).branches.length > 0 ? further : sql``}
    ) ${read}`;
}

/** Part `d<n>(r, n, bytes, files, keys)`: the rows of one place by the governed row they go with. */
const alongBy = (place: Place, rows: 'below' | 'counted'): Sql =>
  cte(
    `d${place.n}`,
    sql`
    select b.r, count(*) as n, coalesce(sum(${bytesOf('d', place.files)}), 0) as bytes, coalesce(sum(${filesOf('d', place.files)}), 0) as files,
      ${hashOfAll(keyAsText('d', place.key))} as keys
    from ${raw(rows)} b cross join lateral (select d.* from ${tableId(place.table)} d where d.tableoid = b.o and d.ctid = b.c offset 0) d
    where b.n = ${number(place)} group by b.r
  `,
    true,
  );

/** Part `e<i>(r, n, keys)`: the rows that lose one reference, but those that go themselves. */
function losingBy(policy: Policy, d: Dependant, i: number): Sql {
  const from = placeOf(policy, parentTable(d, policy))!;
  const own = placeOf(policy, d.table);
  const goes =
    own &&
    own.n > 0 &&
    sql`not exists (select 1 from below y where y.n = ${number(own)} and y.o = d.tableoid and y.c = d.ctid)`;
  return cte(
    `e${i}`,
    sql`
    select b.r, count(*) as n, ${hashOfAll(keyAsText('d', d.key))} as keys
    from below b ${parentOf(from, 'b')}
      cross join lateral (select d.* from ${tableId(d.table)} d where ${allOf(belongs(d, policy, 'd', 'p'), goes)} offset 0) d
    where b.n = ${number(from)} group by b.r
  `,
    true,
  );
}

/** References that would be taken away, by table; of one that is named twice, each reference. */
const detachedIn = (policy: Policy): Sql =>
  summedByTable(detachedDependants(policy).map((d, i) => ({ table: d.table, n: id(`m${i}`) })));

/** Rows of each table that would go along. */
const dependantCounts = (policy: Policy): Sql =>
  summedByTable([
    ...treeOf(policy)
      .places.filter((p) => p.n > 0)
      .map((p) => ({ table: p.table, n: id(`n${p.n}`) })),
    ...contentsOf(policy).map((c, i) => ({ table: c.table, n: id(`o${i}`) })),
  ]);

/** One object of all counts of part `going`, a column each. */
function summedByTable(columns: readonly { table: Policy['table']; n: Sql }[]): Sql {
  const byTable = new Map<string, Sql[]>();
  for (const { table, n } of columns) {
    const label = tableLabel(table);
    byTable.set(label, [...(byTable.get(label) ?? []), sql`sum(${n})`]);
  }
  const counts = [...byTable].map(([label, sums]) => sql`${literal(label)}, coalesce(${summed(sums)}, 0)`);
  return counts.length === 0 ? sql`'{}'::jsonb` : sql`(select ${jsonObject(counts)} from going)`;
}
