/**
 * The dry run: the batch's own picking and predicate inside a READ ONLY transaction, with a count where the
 * batch deletes. Page by page, each bounded, so it never holds a snapshot for long and can stop in time.
 * What would go is also hashed, row by row in the order of the walk, each row with everything deleted with it:
 * the same hash means the same rows, however the pages fall (G3).
 */
import { z } from 'zod';
import { KEPT_REASONS } from '../../platform/outcome';
import { oneRow, type Query, query } from '../../platform/query';
import {
  allOf,
  cte,
  id,
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
import type { Content, Dependant, Policy } from '../../policies/contract';
import { contentsOf, detachedDependants, goingDependants, ownFiles } from '../../policies/going';
import { contentsWith } from './contents';
import { belongs, bytesOf, capped, filesOf } from './files';
import { type Leg, Position } from './leg';
import { type Walk, walkOf } from './legs';
import { onLeaf } from './partition';
import { progress, REASONS } from './pick';
import { mayGo, staysBecause } from './predicate';

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
  kept: z.partialRecord(z.enum(KEPT_REASONS), count),
  /** Rows that would go along, by their table. */
  dependants: z.record(z.string(), count),
  /** References that would be taken away, by the table of the rows that have them. */
  detached: z.record(z.string(), count),
  /** The hash of all rows up to here. */
  rows_sha256: z.string().regex(/^[0-9a-f]{64}$/),
  sample: z.array(z.string()),
  oldest: z.string().nullable(),
  newest: z.string().nullable(),
  after: Position.extend({ ended: z.boolean() }),
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
  const w = walkOf(policy, leg, asOf);
  const parts = withParts(
    ...w.picked(position, limit),
    progress(w, limit),
    judged(w, only),
    cte('stayed', sql`select stays as reason, count(*) as n from judged where stays is not null group by 1`),
    going(
      policy,
      contentsOf(policy).map((c) => contentsWith(policy, c, legs, asOf)),
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

/** Part `going`: the judged rows that would go, with their dependants: rows, bytes and files, and a hash of the keys. */
/** `contents`: of each table that the rows refer to, those that would go with row `t`. */
function going(policy: Policy, contents: readonly Sql[]): Sql {
  const dependants = along(policy);
  const detached = detachedDependants(policy);
  if (dependants.length + detached.length === 0) {
    return cte('going', sql`select j.*, '[]'::jsonb as along from judged j where j.stays is null`, true);
  }
  const theirs = dependants.map((d, i) => {
    const key = keyAsText('d', d.key);
    const those = contents[i - goingDependants(policy).length];
    return sql`cross join lateral (
      select count(*) as n, coalesce(sum(${bytesOf('d', d.files)}), 0) as bytes, coalesce(sum(${filesOf('d', d.files)}), 0) as files,
        ${hashOf(key)} as keys
      ${those ?? sql`from ${tableId(d.table)} d where ${belongs(d as Dependant, policy)}`}
    ) ${id(`d${i}`)}`;
  });
  const losing = detached.map((d, i) => {
    const key = keyAsText('d', d.key);
    return sql`cross join lateral (
      select count(*) as n, ${hashOf(key)} as keys from ${tableId(d.table)} d where ${belongs(d, policy)}
    ) ${id(`e${i}`)}`;
  });
  const each = (column: (d: Sql, i: Sql) => Sql) =>
    dependants.map((_, i) => column(id(`d${i}`), raw(String(i))));
  const sum = (column: string) => summed([id('j', column), ...each((d) => sql`${d}.${id(column)}`)]);
  return cte(
    'going',
    sql`
    select j.n, j.label, j.key, j.clk, ${sum('bytes')} as bytes, ${sum('files')} as files, ${list(
      ...each((d, i) => sql`${d}.n as n${i}`),
      ...losing.map((_, i) => sql`${id(`e${i}`, 'n')} as ${id(`m${i}`)}`),
    )},
      jsonb_build_array(${list(
        ...each((d) => sql`jsonb_build_array(${d}.n, ${d}.keys)`),
        ...losing.map(
          (_, i) => sql`jsonb_build_array(${id(`e${i}`, 'n')}, ${id(`e${i}`, 'keys')}, 'set-null')`,
        ),
      )}) as along
    from judged j join only ${tableId(policy.table)} t on t.ctid = j.c
    ${lines(...theirs, ...losing)}
    where j.stays is null and t.ctid = any(array(select c from judged where stays is null))
  `,
    true,
  );
}

const hashOf = (key: Sql): Sql =>
  sql`encode(sha256(coalesce(string_agg(sha256(convert_to(${key}, 'UTF8')), '' order by ${key} collate "C"), '')), 'hex')`;

/** References that would be taken away, by table; of one that is named twice, each reference. */
const detachedIn = (policy: Policy): Sql => summedByTable(detachedDependants(policy), 'm');

/** Rows of each dependants' table that would go along; a table declared twice is counted once for each reference. */
const dependantCounts = (policy: Policy): Sql => summedByTable(along(policy), 'n');

/** Dependants that go, then what the rows are the last to refer to. */
const along = (policy: Policy): readonly (Dependant | Content)[] => [
  ...goingDependants(policy),
  ...contentsOf(policy),
];

/** One object of all counts of part `going`, a column each. */
function summedByTable(dependants: readonly Pick<Dependant, 'table'>[], column: string): Sql {
  const byTable = new Map<string, Sql[]>();
  for (const [i, d] of dependants.entries()) {
    const label = tableLabel(d.table);
    byTable.set(label, [...(byTable.get(label) ?? []), sql`sum(${id(`${column}${i}`)})`]);
  }
  const counts = [...byTable].map(([label, sums]) => sql`${literal(label)}, coalesce(${summed(sums)}, 0)`);
  return counts.length === 0
    ? sql`'{}'::jsonb`
    : sql`(select jsonb_build_object(${list(...counts)}) from going)`;
}
